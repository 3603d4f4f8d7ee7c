#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "detent/data/readers.h"

namespace detent::data {

/// The name that stands for "no wish": the only data set that the built-in digits may replace.
inline constexpr const char* kDefaultName = "mnist";

struct SourceOptions {
  /// "digits" for the built-in data set; a path (is_path), which is opened as if it were `folder`; else the name of a
  /// data set that is looked for on disk.
  std::string name = kDefaultName;
  /// A folder of IDX or HDF5 files, or an HDF5 file, that the user named. It is opened or refused, never passed over.
  std::optional<std::filesystem::path> folder = std::nullopt;
  /// Whether the built-in digits stand in for kDefaultName where nothing is found.
  bool or_digits = true;
  /// Of the built-in digits.
  std::uint64_t seed = 1;
  /// The formats that are understood.
  Readers readers = standard_readers();
};

/// Whether the name of a data set is a path: it has a '/', ends in .h5 or .hdf5, or is "." or "..".
bool is_path(const std::string& name);

/// Where data sets of this user are kept: $XDG_CACHE_HOME/detent, else $HOME/.cache/detent, else nothing.
std::optional<std::filesystem::path> cache_folder();

/// Opens the data of a run. The first of these that is there:
///   1. `folder`, or a path given as `name`; it is called what it calls itself (hdf5_dataset.h, idx.h);
///   2. the built-in digits, if they are the `name`;
///   3. `name` (a folder, or a file name.h5) in $DETENT_DATA or, where it is called `name`, $DETENT_DATA itself; for
///      kDefaultName it may be called anything;
///   4. `name` in the cache folder;
///   5. for kDefaultName, if $DETENT_DATA is not set: the built-in digits; the description then says why.
/// Throws Error, saying where it looked, if there is none; if what 1 or $DETENT_DATA names does not exist; and for
/// damaged data.
DataSource open_data(const SourceOptions& options = {});

}  // namespace detent::data
