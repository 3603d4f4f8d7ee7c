#include "data/hdf5_dataset.h"

#include <algorithm>
#include <sstream>
#include <system_error>

#include "autograd/tensor_file.h"

namespace detent::data {
namespace {

const Tensor& require(const TensorFile& file, const std::string& tensor) {
  const auto found = file.tensors.find(tensor);
  check(found != file.tensors.end(), file.source.string(), ": has no data set /", tensor,
        ": expected /train/images, /train/labels, /test/images and /test/labels, or images and labels in train.h5 and "
        "test.h5");
  return found->second;
}

Dataset read_part(const TensorFile& file, const std::string& prefix, std::string name) {
  const std::string where = file.source.string() + ": /" + prefix;
  Tensor images = require(file, prefix + "images");
  Tensor labels = require(file, prefix + "labels");
  check(images.dtype() == DType::U8 && (images.shape().rank() == 3 || images.shape().rank() == 4), where,
        "images: expected u8 [N, H, W, C] or [N, H, W], got ", images.dtype(), ' ', images.shape());
  check((labels.dtype() == DType::S32 || labels.dtype() == DType::U8) && labels.shape().rank() == 1, where,
        "labels: expected s32 or u8 [N], got ", labels.dtype(), ' ', labels.shape());
  if (images.shape().rank() == 3) {
    images = images.reshape({images.shape()[0], images.shape()[1], images.shape()[2], 1});
  }
  if (labels.dtype() == DType::U8) {
    labels = labels.to(DType::S32);
  }
  return {std::move(name), std::move(images), std::move(labels), 0};
}

std::int64_t classes_of(const TensorFile& file, const Dataset& train) {
  if (file.attributes.contains("classes")) {
    const std::int64_t classes = file.integer("classes");
    check(classes >= 1, file.source.string(), ": attribute classes: expected at least 1, got ", classes);
    return classes;
  }
  const std::span<const std::int32_t> labels = std::as_const(train.labels).data<std::int32_t>();
  return labels.empty() ? 1 : std::int64_t{std::ranges::max(labels)} + 1;
}

void validate_parts(DataSource& source, const std::string& where) {
  source.train.validate(where + " (train)");
  source.test.validate(where + " (test)");
  check(source.train.image_shape() == source.test.image_shape(), where, ": training images are ",
        source.train.image_shape(), " but test images are ", source.test.image_shape());
}

}  // namespace

bool has_hdf5_files(const std::filesystem::path& folder) {
  std::error_code error;
  return std::filesystem::exists(folder / "train.h5", error) || std::filesystem::exists(folder / "test.h5", error);
}

DataSource read_hdf5_dataset(const std::filesystem::path& path) {
  std::error_code error;
  const bool is_folder = std::filesystem::is_directory(path, error);
  const TensorFile train_file = TensorFile::read(is_folder ? path / "train.h5" : path);
  const TensorFile test_file = is_folder ? TensorFile::read(path / "test.h5") : TensorFile{};
  const std::string name = train_file.attributes.contains("name") ? train_file.text("name") : path.stem().string();
  DataSource source;
  source.train = read_part(train_file, is_folder ? "" : "train/", name + " train");
  source.test = read_part(is_folder ? test_file : train_file, is_folder ? "" : "test/", name + " test");
  source.train.classes = source.test.classes = classes_of(train_file, source.train);
  validate_parts(source, path.string());
  std::ostringstream text;
  text << name << " from " << path.string() << ": " << source.train.size() << " training and " << source.test.size()
       << " test images";
  source.description = text.str();
  return source;
}

void write_hdf5_dataset(const std::filesystem::path& path, const DataSource& source) {
  DataSource valid = source;
  validate_parts(valid, path.string());
  check(source.train.classes == source.test.classes, path.string(), ": training data have ", source.train.classes,
        " classes but test data have ", source.test.classes);
  std::string name = source.train.name;
  if (name.ends_with(" train")) {
    name.resize(name.size() - std::string(" train").size());
  }
  TensorFile file;
  file.attributes = {{"format", std::string("detent")},
                     {"version", std::int64_t{1}},
                     {"kind", std::string("dataset")},
                     {"name", std::move(name)},
                     {"classes", source.train.classes}};
  file.tensors = {{"train/images", source.train.images},
                  {"train/labels", source.train.labels},
                  {"test/images", source.test.images},
                  {"test/labels", source.test.labels}};
  file.write(path);
}

}  // namespace detent::data
