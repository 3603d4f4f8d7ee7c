#include "data/source.h"

#include <cstdlib>
#include <system_error>

#include "data/digits.h"
#include "data/hdf5_dataset.h"
#include "data/idx.h"
#include "kernels/error.h"

namespace detent::data {
namespace {

std::optional<std::filesystem::path> environment_path(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value != '\0' ? std::optional<std::filesystem::path>(value) : std::nullopt;
}

bool is_hdf5_name(const std::filesystem::path& path) {
  return path.extension() == ".h5" || path.extension() == ".hdf5";
}

/// Opens what a user named; `hint` tells where the name came from.
DataSource open_named(const std::filesystem::path& path, const std::string& name, const char* hint) {
  std::error_code error;
  const bool is_there = std::filesystem::exists(path, error);
  check(is_there, path.string(), ": no such data folder or file (", hint, ')');
  const bool is_idx = std::filesystem::is_directory(path, error) && (has_idx_files(path) || !has_hdf5_files(path));
  return is_idx ? read_idx_folder(path, name) : read_hdf5_dataset(path);
}

}  // namespace

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
  check(!options.name.empty(), "data: name: expected \"mnist\", \"digits\" or a path, got an empty text");
  const std::filesystem::path as_path = options.name;
  const bool is_path = options.name.find('/') != std::string::npos || is_hdf5_name(as_path);
  const std::string name = is_path ? as_path.stem().string() : options.name;
  if (options.folder) {
    return open_named(*options.folder, name, "it was named for this run");
  }
  if (is_path) {
    return open_named(as_path, name, "it was named for this run");
  }
  if (options.name == "digits") {
    return make_digits({.seed = options.seed});
  }
  if (const auto folder = environment_path("DETENT_DATA")) {
    return open_named(*folder, name, "DETENT_DATA names it");
  }
  const auto cache = cache_folder();
  if (cache && has_idx_files(*cache / options.name)) {
    return read_idx_folder(*cache / options.name, name);
  }
  DataSource source = make_digits({.seed = options.seed});
  source.description = "NO " + options.name + " FOUND (neither --data nor DETENT_DATA names a folder" +
                       (cache ? ", nothing in " + (*cache / options.name).string() : std::string()) + "): using the " +
                       source.description;
  return source;
}

}  // namespace detent::data
