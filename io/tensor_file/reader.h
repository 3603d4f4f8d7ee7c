#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "detent/io/tensor_file.h"

namespace detent::hdf5 {

/// What is to be read of a file, and as what.
struct ReadRequest {
  std::filesystem::path path = {};
  std::vector<std::string> only = {};          ///< data sets; none: all
  std::vector<std::string> may_be_texts = {};  ///< those of `only` that may be texts
  bool is_own = false;                         ///< whether it must have the form that Detent writes (form.h)
};

/// Reads with the HDF5 library, in this process: what a damaged file makes of the library, it makes of this process.
/// Throws Error as TensorFile::read and read_foreign_file do.
TensorFile read_here(const ReadRequest& request);

}  // namespace detent::hdf5
