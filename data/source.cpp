#include "detent/data/source.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <system_error>

#include "detent/core/error.h"
#include "detent/core/text/nearest_path.h"
#include "detent/core/utf8.h"
#include "detent/data/digits.h"

namespace detent::data {
namespace {

std::optional<std::filesystem::path> environment_path(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? std::optional<std::filesystem::path>(value) : std::nullopt;
}

const Reader* reader_of(const std::filesystem::path& path, const Readers& readers) {
  const auto reader = std::ranges::find_if(readers, [&](const Reader& row) { return row.recognizes(path); });
  return reader == readers.end() ? nullptr : &*reader;
}

// What files of data end in.
constexpr std::array kEndings{".h5", ".hdf5", ".npz", ".npy", ".csv", ".tsv", ".csv.gz", ".tsv.gz", ".tab", ".tab.gz"};

/// Where data sets are looked for, and how they are read.
struct Formats {
  const Readers& readers;
  ReadOptions read;
};

/// Opens what is at `path`; called `name`, if that is not empty.
DataSource open_path(const std::filesystem::path& path, const Formats& formats, const std::string& name = {}) {
  std::error_code error;
  check(path.filename().string().find("-ubyte") == std::string::npos || std::filesystem::is_directory(path, error),
        path.string(), ": is one of the four IDX files of a data set; name their folder");
  const Reader* const reader = reader_of(path, formats.readers);
  check(reader != nullptr, path.string(),
        ": holds no data that are known: expected a folder with the four IDX files (train-images, ...), with train.h5 "
        "and "
        "test.h5, with train.csv, or with a folder of PNG or JPEG pictures for each class; or a file .h5, .csv, .tsv, "
        ".npz "
        "or .npy");
  ReadOptions options = formats.read;
  options.name = name;
  return reader->read(path, options);
}

void check_exists(const std::filesystem::path& path, const char* hint) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    fail(path.string(), ": no such data folder or file (", hint, ')', did_you_mean_path(path));
  }
}

DataSource open_named(const std::filesystem::path& path, const Formats& formats) {
  check_exists(path, "it was named for this run");
  return open_path(path, formats);
}

/// The data set `name` among those of `folder`.
std::optional<DataSource> find_in(const std::filesystem::path& folder, const std::string& name,
                                  const Formats& formats) {
  std::vector<std::string> endings{""};
  endings.insert(endings.end(), kEndings.begin(), kEndings.end());
  for (const std::string& ending : endings) {
    if (const auto path = folder / (name + ending); reader_of(path, formats.readers) != nullptr) {
      return open_path(path, formats, name);
    }
  }
  return std::nullopt;
}

/// The data set `name` in what DETENT_DATA names. `looked` tells of what was found instead.
std::optional<DataSource> find_in_variable(const std::filesystem::path& folder, const std::string& name, bool is_named,
                                           const Formats& formats, std::string& looked) {
  check_exists(folder, "DETENT_DATA names it");
  looked = "$DETENT_DATA, " + folder.string() + ", does not hold it";
  if (auto source = find_in(folder, name, formats); source || reader_of(folder, formats.readers) == nullptr) {
    return source;
  }
  DataSource source = open_path(folder, formats);
  if (!is_named || name == source.name) {
    return source;
  }
  looked = "$DETENT_DATA, " + folder.string() + ", is \"" + source.name + "\"";
  return std::nullopt;
}

}  // namespace

bool is_path(const std::string& name) {
  return name.find('/') != std::string::npos || name == "." || name == ".." ||
         std::ranges::any_of(kEndings, [&](const char* ending) { return name.ends_with(ending); });
}

std::optional<std::filesystem::path> cache_folder() {
  if (const auto cache = environment_path("XDG_CACHE_HOME")) {
    return *cache / "detent";
  }
  if (const auto home = environment_path("HOME")) {
    return *home / ".cache" / "detent";
  }
  return std::nullopt;
}

DataSource open_data(const SourceOptions& options) {
  const std::string name = options.name.value_or(kDefaultName);
  const Formats formats{options.readers, options.read};
  check(!name.empty() && name.find('\0') == std::string::npos,
        "data: name: expected \"mnist\", \"digits\", another data set's name or a path, got ",
        name.empty() ? "an empty text" : "a text with a zero byte");
  if (options.folder || is_path(name)) {
    return open_named(options.folder.value_or(name), formats);
  }
  if (name == "digits") {
    return make_digits({.seed = options.seed});
  }
  std::string looked = "$DETENT_DATA is not set";
  const auto folder = environment_path("DETENT_DATA");
  if (folder) {
    if (auto source = find_in_variable(*folder, name, options.name.has_value(), formats, looked)) {
      return *std::move(source);
    }
  }
  if (const auto cache = cache_folder()) {
    if (auto source = find_in(*cache, name, formats)) {
      return *std::move(source);
    }
    looked += ", nothing in " + (*cache / name).string();
  }
  check(!options.name && !folder, "data: no data set \"", name, "\": ", looked,
        "; name a folder or a file with --data, ",
        name == kDefaultName ? "download it with `detent data fetch mnist`" : "or as a path with a '/'",
        ", or take the built-in \"digits\"");
  DataSource source = make_digits({.seed = options.seed});
  source.description = valid_utf8("NO " + name + " FOUND (no --data, " + looked + "): using the ") + source.description;
  return source;
}

}  // namespace detent::data
