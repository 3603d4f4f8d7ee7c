#include "detent/cli/evaluation/example_files.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "detent/data/files.h"
#include "detent/data/idx.h"
#include "detent/data/source.h"
#include "detent/io/tensor_file.h"

namespace detent::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::byte, 4> kIdxImages{std::byte{0}, std::byte{0}, std::byte{8}, std::byte{3}};

bool is_idx_images(const fs::path& path) {
  const std::vector<std::byte> begin = data::ByteReader(path).read_up_to(kIdxImages.size());
  return std::ranges::equal(begin, kIdxImages);
}

bool is_hdf5(const fs::path& path) { return path.extension() == ".h5" || path.extension() == ".hdf5"; }

Tensor read_hdf5(const fs::path& path) {
  const std::vector<std::string> names{"images", "features", "test/images", "test/features"};
  const TensorFile file = TensorFile::read(path, names);
  const auto name = std::ranges::find_if(names, [&](const std::string& n) { return file.tensors.contains(n); });
  check(name != names.end(), path.string(), ": has no examples: expected images or features, at its root or in test");
  const Tensor& examples = file.tensor(*name);
  const Shape& shape = examples.shape();
  check(shape.rank() >= 2 && shape.elements() > 0, path.string(), ": /", *name, ": expected [N, ...], got ", shape);
  const bool is_grey = name->ends_with("images") && shape.rank() == 3;
  return is_grey ? examples.reshape({shape[0], shape[1], shape[2], 1}) : examples;
}

}  // namespace

Tensor read_examples(const std::string& path) {
  std::error_code error;
  check(fs::exists(path, error), path, ": no such file or folder");
  if (fs::is_regular_file(path, error)) {
    if (is_hdf5(path)) {
      return read_hdf5(path);
    }
    if (is_idx_images(path)) {
      return data::read_idx_images(path);
    }
  }
  return data::open_data({.folder = path}).test.examples;
}

}  // namespace detent::cli
