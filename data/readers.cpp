#include "detent/data/readers.h"

#include <system_error>

#include "detent/data/hdf5_dataset.h"
#include "detent/data/idx.h"

namespace detent::data {
namespace {

bool is_idx(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error) && has_idx_files(path);
}

bool is_hdf5(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) || has_hdf5_files(path);
}

}  // namespace

const Readers& standard_readers() {
  static const Readers readers{
      {"IDX", &is_idx, [](const auto& path, const std::string& name) { return read_idx_folder(path, name); }},
      {"HDF5", &is_hdf5, &read_hdf5_dataset}};
  return readers;
}

}  // namespace detent::data
