#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "data/dataset.h"

namespace detent::data {

struct SourceOptions {
  /// "digits" for the built-in data set; else a name such as "mnist", which is looked for on disk; or, where it has a
  /// '/' or ends in .h5 or .hdf5, a path, which is opened as if it were `folder`.
  std::string name = "mnist";
  /// A folder of IDX or HDF5 files, or an HDF5 file, that the user named. It is opened or refused, never passed over.
  std::optional<std::filesystem::path> folder = std::nullopt;
  /// Of the built-in digits.
  std::uint64_t seed = 1;
};

/// Where data sets of this user are kept: $XDG_CACHE_HOME/detent, else $HOME/.cache/detent, else nothing.
std::optional<std::filesystem::path> cache_folder();

/// Opens the data of a run. The first of these that is there:
///   1. `folder`, or a path given as `name`;
///   2. $DETENT_DATA, the same way;
///   3. the cache folder's subfolder `name`, if it has any IDX file;
///   4. the built-in digits; the description then says that `name` was not found.
/// 1 and 2 are what the user named: if one is missing or damaged, that is an Error, and so is a damaged 3. With the
/// name "digits" the built-in digits are drawn, unless `folder` is given.
DataSource open_data(const SourceOptions& options = {});

}  // namespace detent::data
