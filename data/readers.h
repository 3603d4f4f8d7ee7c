#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "detent/data/dataset.h"
#include "detent/data/formats/read_options.h"

namespace detent::data {

/// A format of data sets on disk: one row of the table that data are opened by.
struct Reader {
  std::string format = {};  ///< for people: "IDX"
  /// Whether a folder or file looks like data of this format, whole or not. Reads names and first bytes at most.
  std::function<bool(const std::filesystem::path& path)> recognizes = {};
  /// Reads it as `options` says, called options.name if that is not empty. Throws Error, naming the file, for damaged
  /// data.
  std::function<DataSource(const std::filesystem::path& path, const ReadOptions& options)> read = {};
};

/// Formats in the order in which they are tried.
using Readers = std::vector<Reader>;
/// IDX folders; tables; arrays of numpy; HDF5 files and folders; folders of images. A program that has a format of its
/// own passes a copy with a row for it.
const Readers& standard_readers();

}  // namespace detent::data
