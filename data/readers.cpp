#include "detent/data/readers.h"

#include <system_error>

#include "detent/data/formats/images/image_folder.h"
#include "detent/data/formats/numpy/arrays.h"
#include "detent/data/formats/table/table_dataset.h"
#include "detent/data/hdf5_dataset.h"
#include "detent/data/idx.h"

namespace detent::data {
namespace {

bool is_idx(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error) && has_idx_files(path);
}

// The last one that takes files: HDF5 says what is wrong with a file that is nothing.
bool is_hdf5(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) || has_hdf5_files(path);
}

DataSource read_idx(const std::filesystem::path& path, const ReadOptions& options) {
  return read_idx_folder(path, options.name);
}

}  // namespace

const Readers& standard_readers() {
  static const Readers readers{{"IDX", &is_idx, &read_idx},
                               {"table", &is_table, &read_table},
                               {"NumPy", &is_arrays, &read_arrays},
                               {"HDF5", &is_hdf5, &read_hdf5_dataset},
                               {"images", &is_image_folder, &read_image_folder}};
  return readers;
}

}  // namespace detent::data
