#include "detent/data/formats/images/image_folder.h"

#include <algorithm>
#include <cstring>
#include <system_error>
#include <utility>

#include "detent/core/error.h"
#include "detent/core/threads/parallel.h"
#include "detent/core/utf8.h"
#include "detent/data/formats/finish.h"
#include "detent/data/formats/images/image_file.h"
#include "detent/data/formats/images/layout.h"
#include "detent/data/formats/limits.h"
#include "detent/data/formats/targets.h"

namespace detent::data {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 16;
const std::vector<const char*> kTrain{"train", "training"};
const std::vector<const char*> kTest{"test", "testing", "val", "valid", "validation"};

bool is_hidden(const fs::path& path) { return path.filename().string().starts_with('.'); }

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

// What lies in a folder, without what is hidden, in the order of the names.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (!is_hidden(entry.path())) {
      entries.push_back(entry.path());
    }
  }
  check(!error, folder.string(), ": cannot be read: ", error.message());
  std::ranges::sort(entries);
  return entries;
}

void add_files(const fs::path& folder, int depth, std::vector<fs::path>& files) {
  check(depth < kDeepest, folder.string(), ": folders are nested more than ", kDeepest, " deep");
  check_interruption();
  for (const fs::path& entry : entries_of(folder)) {
    if (is_folder(entry)) {
      add_files(entry, depth + 1, files);
    } else if (is_image_name(entry)) {
      files.push_back(entry);
    }
  }
}

bool has_image(const fs::path& folder, int depth) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    if (!is_hidden(entry.path()) &&
        (is_folder(entry.path()) ? depth > 0 && has_image(entry.path(), depth - 1) : is_image_name(entry.path()))) {
      return true;
    }
  }
  return false;
}

// The folder of a part under one of its usual names.
std::optional<fs::path> find_part(const fs::path& path, const std::vector<const char*>& names) {
  for (const char* const name : names) {
    if (is_folder(path / name)) {
      return path / name;
    }
  }
  return std::nullopt;
}

std::vector<fs::path> class_folders(const fs::path& part) {
  std::vector<fs::path> folders = entries_of(part);
  std::erase_if(folders, [](const fs::path& entry) { return !is_folder(entry); });
  check(folders.size() >= 2, part.string(), ": has ", folders.size(), " folder", folders.size() == 1 ? "" : "s",
        " in it: expected one a class, at least 2, with the pictures of the class: ", part.string(), "/CLASS/1.png");
  return folders;
}

bool is_number(const std::string& name) {
  return !name.empty() && name.size() < 18 && std::ranges::all_of(name, [](char a) { return a >= '0' && a <= '9'; });
}

Classes classes_of(const std::vector<fs::path>& folders, const ReadOptions& options) {
  if (!options.class_names.empty()) {
    return Classes::named(options.class_names);
  }
  std::vector<std::string> names;
  std::ranges::transform(folders, std::back_inserter(names),
                         [](const fs::path& folder) { return valid_utf8(folder.filename().string()); });
  if (std::ranges::all_of(names, is_number)) {
    std::ranges::stable_sort(names, {}, [](const std::string& name) { return std::stoll(name); });
  }
  return Classes::named(std::move(names));
}

Dataset read_part(const fs::path& root, const std::vector<fs::path>& folders, const Classes& classes,
                  const ReadOptions& options) {
  std::vector<fs::path> files;
  std::vector<std::int32_t> labels;
  for (const fs::path& folder : folders) {
    const auto label = classes.find(folder.filename().string());
    check(label.has_value(), folder.string(), ": the training pictures have no such class");
    const std::vector<fs::path> of_class = image_files(folder);
    check(!of_class.empty(), folder.string(), ": has no .png, .jpg or .jpeg file; remove the folder if it is no class");
    files.insert(files.end(), of_class.begin(), of_class.end());
    labels.insert(labels.end(), of_class.size(), *label);
  }
  Dataset dataset;
  dataset.examples = read_images(files, options);
  dataset.labels = Tensor::from(labels, {std::ssize(labels)});
  dataset.classes = classes.size();
  dataset.class_names = classes.names();
  std::ranges::transform(files, std::back_inserter(dataset.sources),
                         [&](const fs::path& file) { return valid_utf8(file.lexically_relative(root).string()); });
  return dataset;
}

Tensor brought_to(Tensor image, const ReadOptions& options) {
  image = options.channels != 0 ? with_channels(image, options.channels) : image;
  return options.height != 0 ? resized(image, options.height, options.width) : image;
}

void check_same(const fs::path& file, const Shape& shape, const fs::path& first, const Shape& wanted) {
  check(shape[3] == wanted[3], file.string(), ": is ", shape[3] == 1 ? "grey" : "in colour", " but ", first.string(),
        " is ", wanted[3] == 1 ? "grey" : "in colour", "; write channels = 1 (grey) or 3 (colour) under [data]");
  check(shape == wanted, file.string(), ": has ", shape[1], " x ", shape[2], " pixels but ", first.string(), " has ",
        wanted[1], " x ", wanted[2], "; write image_size = [", wanted[1], ", ", wanted[2],
        "] under [data] to have all resized");
}

}  // namespace

bool is_image_folder(const fs::path& path) {
  if (!is_folder(path)) {
    return false;
  }
  const std::optional<fs::path> train = find_part(path, kTrain);
  return has_image(path, 1) || (train && has_image(*train, 1));
}

std::vector<fs::path> image_files(const fs::path& path) {
  if (!is_folder(path)) {
    return {path};
  }
  std::vector<fs::path> files;
  add_files(path, 0, files);
  return files;
}

Tensor read_images(const std::vector<fs::path>& files, const ReadOptions& options) {
  const Tensor first = brought_to(read_image(files[0]), options);
  const auto count = std::ssize(files);
  checked_bytes(files[0].string() + " and others like it", static_cast<std::uint64_t>(count), first.bytes());
  Tensor images = Tensor::empty(first.shape().row().batched(count), DType::U8);
  std::memcpy(images.raw(), first.raw(), first.bytes());
  parallel_slices(count - 1, [&](std::int64_t slice) {
    const auto i = static_cast<std::size_t>(slice + 1);
    const Tensor image = brought_to(read_image(files[i]), options);
    check_same(files[i], image.shape(), files[0], first.shape());
    std::memcpy(images.raw() + i * first.bytes(), image.raw(), first.bytes());
  });
  return images;
}

DataSource read_image_folder(const fs::path& path, const ReadOptions& options) {
  const std::optional<fs::path> train = find_part(path, kTrain);
  const std::optional<fs::path> test = train ? find_part(path, kTest) : std::nullopt;
  const std::vector<fs::path> folders = class_folders(train.value_or(path));
  const Classes classes = classes_of(folders, options);
  DataSource source;
  source.train = read_part(path, folders, classes, options);
  if (test) {
    source.test = read_part(path, class_folders(*test), classes, options);
  }
  return finished(std::move(source), path, options);
}

}  // namespace detent::data
