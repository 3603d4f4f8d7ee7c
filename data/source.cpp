#include "detent/data/source.h"

#include <cstdlib>
#include <system_error>

#include "detent/core/error.h"
#include "detent/core/utf8.h"
#include "detent/data/digits.h"
#include "detent/data/hdf5_dataset.h"
#include "detent/data/idx.h"

namespace detent::data {
namespace {

std::optional<std::filesystem::path> environment_path(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? std::optional<std::filesystem::path>(value) : std::nullopt;
}

/// Whether there is a data set at `path`, whole or not.
bool holds_data(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) || has_idx_files(path) || has_hdf5_files(path);
}

/// Opens what is at `path`; called `name`, if that is not empty.
DataSource open_path(const std::filesystem::path& path, const std::string& name = {}) {
  std::error_code error;
  check(path.filename().string().find("-ubyte") == std::string::npos || std::filesystem::is_directory(path, error),
        path.string(), ": is one of the four IDX files of a data set; name their folder");
  const bool is_idx = std::filesystem::is_directory(path, error) && (has_idx_files(path) || !has_hdf5_files(path));
  return is_idx ? read_idx_folder(path, name) : read_hdf5_dataset(path, name);
}

void check_exists(const std::filesystem::path& path, const char* hint) {
  std::error_code error;
  const bool is_there = std::filesystem::exists(path, error);
  check(is_there, path.string(), ": no such data folder or file (", hint, ')');
}

DataSource open_named(const std::filesystem::path& path) {
  check_exists(path, "it was named for this run");
  return open_path(path);
}

/// The data set `name` among those of `folder`.
std::optional<DataSource> find_in(const std::filesystem::path& folder, const std::string& name) {
  for (const char* const ending : {"", ".h5", ".hdf5"}) {
    if (const auto path = folder / (name + ending); holds_data(path)) {
      return open_path(path, name);
    }
  }
  return std::nullopt;
}

/// The data set `name` in what DETENT_DATA names. `looked` tells of what was found instead.
std::optional<DataSource> find_in_variable(const std::filesystem::path& folder, const std::string& name,
                                           std::string& looked) {
  check_exists(folder, "DETENT_DATA names it");
  looked = "$DETENT_DATA, " + folder.string() + ", does not hold it";
  if (auto source = find_in(folder, name); source || !holds_data(folder)) {
    return source;
  }
  DataSource source = open_path(folder);
  if (name == kDefaultName || name == source.name) {
    return source;
  }
  looked = "$DETENT_DATA, " + folder.string() + ", is \"" + source.name + "\"";
  return std::nullopt;
}

}  // namespace

bool is_path(const std::string& name) {
  const std::filesystem::path path = name;
  return name.find('/') != std::string::npos || path.extension() == ".h5" || path.extension() == ".hdf5" ||
         name == "." || name == "..";
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
  const std::string& name = options.name;
  check(!name.empty() && name.find('\0') == std::string::npos,
        "data: name: expected \"mnist\", \"digits\", another data set's name or a path, got ",
        name.empty() ? "an empty text" : "a text with a zero byte");
  if (options.folder || is_path(name)) {
    return open_named(options.folder.value_or(name));
  }
  if (name == "digits") {
    return make_digits({.seed = options.seed});
  }
  std::string looked = "$DETENT_DATA is not set";
  const auto folder = environment_path("DETENT_DATA");
  if (folder) {
    if (auto source = find_in_variable(*folder, name, looked)) {
      return *std::move(source);
    }
  }
  if (const auto cache = cache_folder()) {
    if (auto source = find_in(*cache, name)) {
      return *std::move(source);
    }
    looked += ", nothing in " + (*cache / name).string();
  }
  const bool is_default = name == kDefaultName;
  check(is_default && options.or_digits && !folder, "data: no data set \"", name, "\": ", looked,
        "; name a folder or an HDF5 file with --data, ",
        is_default ? "download it with `detent data fetch mnist`" : "or as a path with a '/'",
        ", or take the built-in \"digits\"");
  DataSource source = make_digits({.seed = options.seed});
  source.description = valid_utf8("NO " + name + " FOUND (no --data, " + looked + "): using the ") + source.description;
  return source;
}

}  // namespace detent::data
