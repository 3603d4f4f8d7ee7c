#include "detent/data/source.h"

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "detent/core/error.h"
#include "detent/core/utf8.h"
#include "detent/data/digits.h"
#include "detent/data/idx.h"

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

/// Opens what is at `path`; called `name`, if that is not empty.
DataSource open_path(const std::filesystem::path& path, const Readers& readers, const std::string& name = {}) {
  std::error_code error;
  check(path.filename().string().find("-ubyte") == std::string::npos || std::filesystem::is_directory(path, error),
        path.string(), ": is one of the four IDX files of a data set; name their folder");
  const Reader* const reader = reader_of(path, readers);
  return reader == nullptr ? read_idx_folder(path, name) : reader->read(path, name);  // IDX's refusal says what to name
}

void check_exists(const std::filesystem::path& path, const char* hint) {
  std::error_code error;
  const bool is_there = std::filesystem::exists(path, error);
  check(is_there, path.string(), ": no such data folder or file (", hint, ')');
}

DataSource open_named(const std::filesystem::path& path, const Readers& readers) {
  check_exists(path, "it was named for this run");
  return open_path(path, readers);
}

/// The data set `name` among those of `folder`.
std::optional<DataSource> find_in(const std::filesystem::path& folder, const std::string& name,
                                  const Readers& readers) {
  for (const char* const ending : {"", ".h5", ".hdf5"}) {
    if (const auto path = folder / (name + ending); reader_of(path, readers) != nullptr) {
      return open_path(path, readers, name);
    }
  }
  return std::nullopt;
}

/// The data set `name` in what DETENT_DATA names. `looked` tells of what was found instead.
std::optional<DataSource> find_in_variable(const std::filesystem::path& folder, const std::string& name,
                                           const Readers& readers, std::string& looked) {
  check_exists(folder, "DETENT_DATA names it");
  looked = "$DETENT_DATA, " + folder.string() + ", does not hold it";
  if (auto source = find_in(folder, name, readers); source || reader_of(folder, readers) == nullptr) {
    return source;
  }
  DataSource source = open_path(folder, readers);
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
    return open_named(options.folder.value_or(name), options.readers);
  }
  if (name == "digits") {
    return make_digits({.seed = options.seed});
  }
  std::string looked = "$DETENT_DATA is not set";
  const auto folder = environment_path("DETENT_DATA");
  if (folder) {
    if (auto source = find_in_variable(*folder, name, options.readers, looked)) {
      return *std::move(source);
    }
  }
  if (const auto cache = cache_folder()) {
    if (auto source = find_in(*cache, name, options.readers)) {
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
