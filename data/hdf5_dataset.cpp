#include "detent/data/hdf5_dataset.h"

#include <algorithm>
#include <system_error>
#include <vector>

#include "detent/io/tensor_file.h"

namespace detent::data {
namespace {

const Tensor& require(const TensorFile& file, const std::string& tensor) {
  const auto found = file.tensors.find(tensor);
  check(found != file.tensors.end(), file.source.string(), ": has no data set /", tensor,
        ": expected /train/images, /train/labels, /test/images and /test/labels, or images and labels in train.h5 and "
        "test.h5; features in place of images where they are real numbers");
  return found->second;
}

/// How to make u8 [N, H, W, C] of `images` in numpy, or nothing.
std::string mend_of_images(const Tensor& images, bool is_enumeration) {
  if (is_enumeration) {
    return ", an enumeration; of booleans write images.astype('uint8') * 255";
  }
  if (images.dtype() != DType::U8) {
    const bool is_real = images.dtype() != DType::S8 && images.dtype() != DType::S32;
    return is_real ? "; of numbers from 0 to 1 write (images * 255).round().astype('uint8')"
                   : "; of numbers from 0 to 255 write images.astype('uint8')";
  }
  return images.shape().rank() == 2 ? "; write images.reshape(-1, H, W)" : "";
}

/// Whether `shape`, of rank 4, reads as [N, C, H, W] and hardly as [N, H, W, C].
bool looks_channels_first(const Shape& shape) {
  return (shape[1] == 1 || shape[1] == 3) && shape[2] > 4 && shape[3] > 4;
}

Tensor read_images(const TensorFile& file, const std::string& name) {
  const std::string where = file.source.string() + ": /" + name;
  const Tensor images = require(file, name);
  const Shape& shape = images.shape();
  const bool is_enumeration = file.enumerations.contains(name);
  check(images.dtype() == DType::U8 && !is_enumeration && (shape.rank() == 3 || shape.rank() == 4), where,
        ": expected u8 [N, H, W, C] or [N, H, W], got ", images.dtype(), ' ', shape,
        mend_of_images(images, is_enumeration));
  if (shape.rank() == 3) {
    return images.reshape({shape[0], shape[1], shape[2], 1});
  }
  const bool is_told = file.attributes.contains("layout");
  check(!is_told || file.text("layout") == "NHWC", where, ": attribute layout: expected \"NHWC\", got \"",
        is_told ? file.text("layout") : "", "\"; write images.transpose(0, 2, 3, 1) and layout = \"NHWC\"");
  check(is_told || !looks_channels_first(shape), where, ": expected [N, H, W, C], got ", shape,
        ", which looks like channels first; write images.transpose(0, 2, 3, 1), or the attribute layout = \"NHWC\" if "
        "height is ",
        shape[1], " and there are ", shape[3], " channels");
  return images;
}

/// Examples that are no images: real numbers, or bytes, of any rank.
Tensor read_features(const TensorFile& file, const std::string& name) {
  const Tensor& features = require(file, name);
  const bool is_enumeration = file.enumerations.contains(name);
  const bool is_known = features.dtype() == DType::F32 || features.dtype() == DType::U8;
  check(is_known && !is_enumeration, file.source.string(), ": /", name, ": expected f32 [N, ...], got ",
        features.dtype(), ' ', features.shape(), is_enumeration ? ", an enumeration" : "",
        "; write features.astype('float32')");
  check(features.shape().rank() != 1, file.source.string(), ": /", name, ": expected [N, ...], got ", features.shape(),
        "; write features[:, None]");
  return features;
}

Tensor read_examples(const TensorFile& file, const std::string& prefix) {
  const bool has_features = file.tensors.contains(prefix + "features");
  check(!has_features || !file.tensors.contains(prefix + "images"), file.source.string(), ": has both /", prefix,
        "images and /", prefix, "features; remove one");
  return has_features ? read_features(file, prefix + "features") : read_images(file, prefix + "images");
}

Tensor read_labels(const TensorFile& file, const std::string& name) {
  const Tensor labels = require(file, name);
  const bool is_whole = labels.dtype() == DType::S32 || labels.dtype() == DType::U8 || labels.dtype() == DType::S8;
  check(is_whole && labels.shape().rank() == 1, file.source.string(), ": /", name, ": expected integers [N], got ",
        labels.dtype(), ' ', labels.shape(),
        !is_whole                    ? "; write labels.astype('int32')"
        : labels.shape().rank() != 2 ? ""
        : labels.shape()[1] == 1     ? "; write labels[:, 0]"
                                     : "; of one number a class write labels.argmax(1)");
  return labels.to(DType::S32);
}

Dataset read_part(const TensorFile& file, const std::string& prefix) {
  return {{}, read_examples(file, prefix), read_labels(file, prefix + "labels"), 0};
}

std::int64_t classes_of(const TensorFile& file, const Dataset& train) {
  constexpr std::int64_t kMostClasses = 1'000'000;
  if (file.attributes.contains("classes")) {
    const std::int64_t classes = file.integer("classes");
    check(classes >= 1 && classes <= kMostClasses, file.source.string(), ": attribute classes: expected 1 to ",
          kMostClasses, ", got ", classes);
    return classes;
  }
  const std::span<const std::int32_t> labels = std::as_const(train.labels).data<std::int32_t>();
  const std::int64_t largest = labels.empty() ? 0 : std::max(std::ranges::max(labels), 0);
  check(largest < kMostClasses, file.source.string(), ": labels: expected class numbers from 0, got ", largest,
        "; of other numbers write np.unique(labels, return_inverse=True)[1]");
  return largest + 1;
}

/// What the data call themselves, else what their file or folder is called.
std::string own_name(const TensorFile& file, const std::filesystem::path& path) {
  const std::string name = file.attributes.contains("name") ? file.text("name") : std::string();
  return name.empty() ? name_of_path(path) : name;
}

}  // namespace

bool has_hdf5_files(const std::filesystem::path& folder) {
  std::error_code error;
  return std::filesystem::exists(folder / "train.h5", error) || std::filesystem::exists(folder / "test.h5", error);
}

DataSource read_hdf5_dataset(const std::filesystem::path& path, const std::string& name) {
  std::error_code error;
  const bool is_folder = std::filesystem::is_directory(path, error);
  const std::vector<std::string> parts = {"images", "features", "labels"};
  const std::vector<std::string> paths = {"train/images", "train/features", "train/labels",
                                          "test/images",  "test/features",  "test/labels"};
  const TensorFile train_file = TensorFile::read(is_folder ? path / "train.h5" : path, is_folder ? parts : paths);
  const TensorFile test_file = is_folder ? TensorFile::read(path / "test.h5", parts) : train_file;
  DataSource source;
  source.train = read_part(train_file, is_folder ? "" : "train/");
  source.test = read_part(test_file, is_folder ? "" : "test/");
  source.train.classes = source.test.classes = classes_of(train_file, source.train);
  source.validate(path.string());
  source.describe(name.empty() ? own_name(train_file, path) : name, path);
  if (!train_file.enumerations.empty() || !test_file.enumerations.empty()) {
    source.description += ", labels are an enumeration's numbers (false 0, true 1)";
  }
  return source;
}

void write_hdf5_dataset(const std::filesystem::path& path, const DataSource& source) {
  source.validate(path.string());
  const std::string examples = source.train.has_images() ? "images" : "features";
  TensorFile file;
  file.attributes = {{"format", std::string("detent")},
                     {"version", std::int64_t{1}},
                     {"kind", std::string("dataset")},
                     {"name", source.name},
                     {"classes", source.train.classes}};
  if (source.train.has_images()) {
    file.attributes["layout"] = std::string("NHWC");
  }
  file.tensors = {{"train/" + examples, source.train.examples},
                  {"train/labels", source.train.labels},
                  {"test/" + examples, source.test.examples},
                  {"test/labels", source.test.labels}};
  file.write(path);
}

}  // namespace detent::data
