#include "detent/data/hdf5_dataset.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "detent/data/formats/finish.h"
#include "detent/data/formats/images/layout.h"
#include "detent/data/formats/targets.h"
#include "detent/io/foreign_tensor_file.h"

namespace detent::data {
namespace {

const Tensor& require(const TensorFile& file, const std::string& tensor) {
  const auto found = file.tensors.find(tensor);
  check(found != file.tensors.end(), file.source.string(), ": has no data set /", tensor,
        ": expected /train/images, /train/labels, /test/images and /test/labels, or images and labels, in train.h5 and "
        "test.h5 or in one file; features in place of images where they are real numbers");
  return found->second;
}

/// How to make u8 [N, H, W, C] of `images` in numpy, or nothing.
std::string mend_of_images(const Tensor& images, bool is_enumeration) {
  if (is_enumeration) {
    return ", an enumeration; of booleans write images.astype('uint8') * 255";
  }
  if (images.dtype() != DType::U8) {
    const bool is_real = images.dtype() != DType::S8 && images.dtype() != DType::S32;
    return is_real ? "; of numbers from 0 to 1 write (images * 255).round().astype('uint8')"
                   : "; of numbers from 0 to 255 write images.astype('uint8')";
  }
  return images.shape().rank() == 2 ? "; write images.reshape(-1, H, W)" : "";
}

Tensor read_images(const TensorFile& file, const std::string& name) {
  const std::string where = file.source.string() + ": /" + name;
  const Tensor images = require(file, name);
  const Shape& shape = images.shape();
  const bool is_enumeration = file.enumerations.contains(name);
  check(images.dtype() == DType::U8 && !is_enumeration && (shape.rank() == 3 || shape.rank() == 4), where,
        ": expected u8 [N, H, W, C] or [N, H, W], got ", images.dtype(), ' ', shape,
        mend_of_images(images, is_enumeration));
  const bool is_told = file.attributes.contains("layout");
  check(!is_told || file.text("layout") == "NHWC", where, ": attribute layout: expected \"NHWC\", got \"",
        is_told ? file.text("layout") : "", "\"; write images.transpose(0, 2, 3, 1) and layout = \"NHWC\"");
  return channels_last(where, images, is_told, ", or the attribute layout = \"NHWC\" if the axes are in this order");
}

/// Examples that are no images: real numbers, or bytes, of any rank.
Tensor read_features(const TensorFile& file, const std::string& name) {
  const Tensor& features = require(file, name);
  const bool is_enumeration = file.enumerations.contains(name);
  const bool is_known = features.dtype() == DType::F32 || features.dtype() == DType::U8;
  check(is_known && !is_enumeration, file.source.string(), ": /", name, ": expected f32 [N, ...], got ",
        features.dtype(), ' ', features.shape(), is_enumeration ? ", an enumeration" : "",
        "; write features.astype('float32')");
  check(features.shape().rank() != 1, file.source.string(), ": /", name, ": expected [N, ...], got ", features.shape(),
        "; write features[:, None]");
  return features;
}

Tensor read_examples(const TensorFile& file, const std::string& prefix) {
  const bool has_features = file.tensors.contains(prefix + "features");
  check(!has_features || !file.tensors.contains(prefix + "images"), file.source.string(), ": has both /", prefix,
        "images and /", prefix, "features; remove one");
  return has_features ? read_features(file, prefix + "features") : read_images(file, prefix + "images");
}

Tensor read_labels(const TensorFile& file, const std::string& name) {
  const Tensor labels = require(file, name);
  const bool is_whole = labels.dtype() == DType::S32 || labels.dtype() == DType::U8 || labels.dtype() == DType::S8;
  check(is_whole && labels.shape().rank() == 1, file.source.string(), ": /", name, ": expected integers [N], got ",
        labels.dtype(), ' ', labels.shape(),
        !is_whole                    ? "; write labels.astype('int32'), or task = \"values\" under [data]"
        : labels.shape().rank() != 2 ? ""
        : labels.shape()[1] == 1     ? "; write labels[:, 0]"
                                     : "; of one number a class write labels.argmax(1)");
  return labels.to(DType::S32);
}

/// Numbers [N] or [N, K] as f32 [N, K].
Tensor read_targets(const TensorFile& file, const std::string& name) {
  const Tensor targets = require(file, name);
  const Shape& shape = targets.shape();
  check(shape.rank() == 1 || shape.rank() == 2, file.source.string(), ": /", name,
        ": expected numbers [N] or [N, K], got ", targets.dtype(), ' ', shape);
  return targets.to(DType::F32).reshape({shape[0], shape.rank() == 1 ? 1 : shape[1]});
}

// What is read of a file, by the beginning of the names: "train/", "test/" or "".
struct Names {
  Names(const std::vector<std::string>& prefixes, const ReadOptions& options)
      : label(options.label.empty() ? "labels" : options.label[0]) {
    texts = {"class_names"};
    for (const std::string& prefix : prefixes) {
      all.insert(all.end(), {prefix + "images", prefix + "features"});
      texts.push_back(prefix + label);
      for (const std::string& slice : options.slices) {
        texts.push_back(prefix + slice);
      }
    }
    all.insert(all.end(), texts.begin(), texts.end());
  }
  std::string label;
  std::vector<std::string> all;
  std::vector<std::string> texts;  // those that may hold texts
};

Column read_column(const TensorFile& file, const std::string& name, const std::string& called) {
  if (const auto texts = file.texts.find(name); texts != file.texts.end()) {
    return {.name = called, .texts = texts->second};
  }
  const auto found = file.tensors.find(name);
  check(found != file.tensors.end() && found->second.shape().rank() == 1, file.source.string(),
        ": slices: expected a data set /", name, " of numbers or texts [N]");
  const Tensor numbers = found->second.to(DType::F64);
  return {.name = called, .numbers = {numbers.data<double>().begin(), numbers.data<double>().end()}};
}

// A part, but for what labels mean, which both parts say together.
Dataset read_part(const TensorFile& file, const std::string& prefix, const std::string& label,
                  const ReadOptions& options) {
  Dataset part;
  part.targets = options.task.value_or(TargetKind::kClasses);
  part.examples = read_examples(file, prefix);
  if (part.targets != TargetKind::kClasses) {
    part.labels = read_targets(file, prefix + label);
    part.classes = part.labels.shape()[1];
  } else if (!file.texts.contains(prefix + label)) {
    part.labels = read_labels(file, prefix + label);
  }
  for (const std::string& slice : options.slices) {
    part.columns.push_back(read_column(file, prefix + slice, slice));
  }
  return part;
}

// Of few examples there are few classes, whatever a number in a file says: networks and tables have a row for each.
std::int64_t classes_of(const TensorFile& file, const Dataset& train) {
  constexpr std::int64_t kAlways = 1'000, kMostClasses = 1'000'000;
  const std::int64_t most = std::clamp(2 * train.size(), kAlways, kMostClasses);
  if (file.attributes.contains("classes")) {
    const std::int64_t classes = file.integer("classes");
    check(classes >= 1 && classes <= most, file.source.string(), ": attribute classes: expected 1 to ", most, " of ",
          train.size(), " training examples, got ", classes);
    return classes;
  }
  const std::span<const std::int32_t> labels = std::as_const(train.labels).data<std::int32_t>();
  const std::int64_t largest = labels.empty() ? 0 : std::max(std::ranges::max(labels), 0);
  check(largest < most, file.source.string(), ": labels: expected class numbers from 0, got ", largest,
        "; of other numbers write np.unique(labels, return_inverse=True)[1]");
  return largest + 1;
}

// Where the labels of a part are.
struct Place {
  const TensorFile& file;
  std::string name;
};

// What numbered labels are called.
std::vector<std::string> called(const Tensor& labels, const std::vector<std::string>& names, const std::string& where) {
  std::vector<std::string> texts;
  for (const std::int32_t label : labels.data<std::int32_t>()) {
    check(label >= 0 && label < std::ssize(names), where, ": element ", texts.size(), " is ", label,
          ", but class_names has ", names.size(), " names");
    texts.push_back(names[static_cast<std::size_t>(label)]);
  }
  return texts;
}

// The classes of both parts: by the texts that the labels are or that their numbers are called, if a model knows
// others; else by the numbers.
void set_classes(DataSource& source, const Place& train, const Place& test, bool is_one_part,
                 const ReadOptions& options) {
  std::vector<std::pair<Dataset*, const Place*>> parts{{&source.train, &train}, {&source.test, &test}};
  parts.resize(is_one_part ? 1 : 2);
  const auto is_text = [](const Place& place) { return place.file.texts.contains(place.name); };
  const bool are_texts = is_text(train);
  const auto found = train.file.texts.find("class_names");
  const auto names = found == train.file.texts.end() ? std::vector<std::string>() : found->second;
  const bool are_called = !names.empty() && !options.class_names.empty() && names != options.class_names;
  std::optional<Classes> classes;
  for (const auto& [part, place] : parts) {
    const std::string where = place->file.source.string() + ": /" + place->name;
    check(is_text(*place) == are_texts, where, ": expected ", are_texts ? "texts" : "integers",
          ", as the training labels are", are_texts ? "" : ", got texts");
    if (!are_texts && !are_called) {
      part->class_names = names;
      part->classes = names.empty() ? classes_of(train.file, source.train) : std::ssize(names);
      continue;
    }
    const auto texts = are_texts ? place->file.texts.at(place->name) : called(part->labels, names, where);
    classes = classes ? classes : classes_for(texts, options, where);
    part->labels =
        class_numbers(texts, *classes, [&](std::size_t i) { return where + ": element " + std::to_string(i); });
    part->class_names = classes->names();
    part->classes = classes->size();
  }
}

/// What the data call themselves, else what their file or folder is called.
std::string own_name(const TensorFile& file, const std::filesystem::path& path) {
  const std::string name = file.attributes.contains("name") ? file.text("name") : std::string();
  return name.empty() ? name_of_path(path) : name;
}

}  // namespace

bool has_hdf5_files(const std::filesystem::path& folder) {
  std::error_code error;
  return std::filesystem::exists(folder / "train.h5", error) || std::filesystem::exists(folder / "test.h5", error);
}

DataSource read_hdf5_dataset(const std::filesystem::path& path, const ReadOptions& options) {
  std::error_code error;
  const bool is_folder = std::filesystem::is_directory(path, error);
  check(options.label.size() <= 1, path.string(), ": label: expected the name of one data set");
  const Names names(is_folder ? std::vector<std::string>{""} : std::vector<std::string>{"train/", "test/", ""},
                    options);
  const TensorFile train_file = read_foreign_file(is_folder ? path / "train.h5" : path, names.all, names.texts);
  const TensorFile test_file = is_folder ? read_foreign_file(path / "test.h5", names.all, names.texts) : train_file;
  const auto has_examples = [&](const std::string& prefix) {
    return train_file.tensors.contains(prefix + "images") || train_file.tensors.contains(prefix + "features");
  };
  const bool is_one_part = !is_folder && has_examples("") && !has_examples("train/");
  const std::string train = is_folder || is_one_part ? "" : "train/", test = is_folder ? "" : "test/";
  DataSource source;
  source.train = read_part(train_file, train, names.label, options);
  if (!is_one_part) {
    source.test = read_part(test_file, test, names.label, options);
  }
  if (source.train.targets == TargetKind::kClasses) {
    set_classes(source, {train_file, train + names.label}, {test_file, test + names.label}, is_one_part, options);
  }
  const std::string name = options.name.empty() ? own_name(train_file, path) : options.name;
  if (is_one_part) {
    ReadOptions named = options;
    named.name = name;
    return finished(std::move(source), path, named);
  }
  source.validate(path.string());
  source.describe(name, path);
  if (train_file.enumerations.contains(train + names.label) || test_file.enumerations.contains(test + names.label)) {
    source.description += ", labels are an enumeration's numbers (false 0, true 1)";
  }
  return source;
}

void write_hdf5_dataset(const std::filesystem::path& path, const DataSource& source) {
  source.validate(path.string());
  source.train.require_classes(path.string());
  const std::string examples = source.train.has_images() ? "images" : "features";
  TensorFile file;
  file.attributes = {{"format", std::string("detent")},
                     {"version", std::int64_t{1}},
                     {"kind", std::string("dataset")},
                     {"name", source.name},
                     {"classes", source.train.classes}};
  if (source.train.has_images()) {
    file.attributes["layout"] = std::string("NHWC");
  }
  file.tensors = {{"train/" + examples, source.train.examples},
                  {"train/labels", source.train.labels},
                  {"test/" + examples, source.test.examples},
                  {"test/labels", source.test.labels}};
  file.write(path);
}

}  // namespace detent::data
