#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "detent/data/readers.h"

namespace detent::data {

/// The data set that is looked for where none is named: the only one that the built-in digits may replace.
inline constexpr const char* kDefaultName = "mnist";

struct SourceOptions {
  /// "digits" for the built-in data set; a path (is_path), which is opened as if it were `folder`; else the name of a
  /// data set that is looked for on disk. Not named: kDefaultName, or the built-in digits where that is not found.
  std::optional<std::string> name = std::nullopt;
  /// A folder or file that the user named. It is opened or refused, never passed over.
  std::optional<std::filesystem::path> folder = std::nullopt;
  /// Of the built-in digits.
  std::uint64_t seed = 1;
  /// The formats that are understood.
  Readers readers = standard_readers();
  /// How they understand data that do not say it themselves; its name is what `name` finds.
  ReadOptions read = {};
};

/// Whether the name of a data set is a path: it has a '/', ends as files of data do (.h5 .hdf5 .npz .npy .csv .tsv
/// .tab, or the last three with .gz), or is "." or "..".
bool is_path(const std::string& name);

/// Where data sets of this user are kept: $XDG_CACHE_HOME/detent, else $HOME/.cache/detent, else nothing.
std::optional<std::filesystem::path> cache_folder();

/// Opens the data of a run. The first of these that is there:
///   1. `folder`, or a path given as `name`; it is called what it calls itself (hdf5_dataset.h, idx.h);
///   2. the built-in digits, if they are the `name`;
///   3. `name` (a folder, or a file name.h5, name.npz, name.csv, ...) in $DETENT_DATA or, where it is called `name`,
///      $DETENT_DATA itself; where none is named, that may be called anything;
///   4. `name` in the cache folder;
///   5. if none is named and $DETENT_DATA is not set: the built-in digits; the description then says why.
/// Throws Error, saying where it looked, if there is none; if what 1 or $DETENT_DATA names does not exist; and for
/// damaged data.
DataSource open_data(const SourceOptions& options = {});

}  // namespace detent::data
