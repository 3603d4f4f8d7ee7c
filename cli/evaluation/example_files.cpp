#include "detent/cli/evaluation/example_files.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "detent/core/text/nearest_path.h"
#include "detent/data/files.h"
#include "detent/data/formats/images/image_folder.h"
#include "detent/data/formats/unlabelled.h"
#include "detent/data/idx.h"
#include "detent/data/source.h"
#include "detent/io/foreign_tensor_file.h"

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
  const TensorFile file = read_foreign_file(path, names);
  const auto name = std::ranges::find_if(names, [&](const std::string& n) { return file.tensors.contains(n); });
  check(name != names.end(), path.string(), ": has no examples: expected images or features, at its root or in test");
  const Tensor& examples = file.tensor(*name);
  const Shape& shape = examples.shape();
  check(shape.rank() >= 2 && shape.elements() > 0, path.string(), ": /", *name, ": expected [N, ...], got ", shape);
  const bool is_grey = name->ends_with("images") && shape.rank() == 3;
  return is_grey ? examples.reshape({shape[0], shape[1], shape[2], 1}) : examples;
}

Examples numbered(const std::string& path, Tensor values) {
  Examples examples{.values = std::move(values), .names = {}};
  const std::int64_t count = examples.values.shape()[0];
  for (std::int64_t i = 0; i < count; ++i) {
    examples.names.push_back(count == 1 ? path : path + " [" + std::to_string(i) + "]");
  }
  return examples;
}

Examples read_unlabelled(const fs::path& path, const train::TrainedOn& trained) {
  data::Unlabelled read = data::read_unlabelled(path, trained.read, trained.feature_names);
  Examples examples{.values = std::move(read.examples), .names = {}, .remarks = std::move(read.remarks)};
  for (const std::string& source : read.sources) {
    const bool is_path = source.starts_with(path.string());
    examples.names.push_back(is_path ? source : path.string() + ", " + source);
  }
  return examples;
}

}  // namespace

Examples read_examples(const std::string& path, const train::TrainedOn& trained) {
  std::error_code error;
  if (!fs::exists(path, error)) {
    fail(path, ": no such file or folder", did_you_mean_path(path));
  }
  if (fs::is_directory(path, error)) {
    return !data::has_idx_files(path) && data::is_image_folder(path)
               ? read_unlabelled(path, trained)
               : numbered(path, data::open_data({.folder = path, .read = trained.read}).test.examples);
  }
  if (is_hdf5(path)) {
    return numbered(path, read_hdf5(path));
  }
  return is_idx_images(path) ? numbered(path, data::read_idx_images(path)) : read_unlabelled(path, trained);
}

}  // namespace detent::cli
