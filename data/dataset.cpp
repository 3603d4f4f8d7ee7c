#include "detent/data/dataset.h"

#include <algorithm>
#include <cstring>
#include <sstream>
#include <system_error>

#include "detent/core/utf8.h"

namespace detent::data {

std::int64_t Dataset::size() const { return labels.defined() ? labels.elements() : 0; }

Shape Dataset::image_shape() const { return images.shape().row(); }

void Dataset::validate(const std::string& where) const {
  check(images.defined() && images.dtype() == DType::U8 && images.shape().rank() == 4, where,
        ": images: expected u8 [N, H, W, C], got ", images.dtype(), ' ', images.shape());
  check(labels.defined() && labels.dtype() == DType::S32 && labels.shape().rank() == 1, where,
        ": labels: expected s32 [N], got ", labels.dtype(), ' ', labels.shape());
  check(images.shape()[0] == labels.shape()[0], where, ": ", images.shape()[0], " images but ", labels.shape()[0],
        " labels: the two files do not belong together");
  check(images.elements() > 0, where, ": no images: shape is ", images.shape());
  const auto values = labels.data<std::int32_t>();
  const auto bad = std::ranges::find_if(values, [&](std::int32_t label) { return label < 0 || label >= classes; });
  if (bad != values.end()) {
    fail(where, ": label ", *bad, " of example ", bad - values.begin(), " is out of range: expected 0 to ",
         classes - 1);
  }
}

Dataset Dataset::take(std::int64_t count) const {
  check(count >= 1, name, ": take: expected at least 1 example, got ", count);
  const std::int64_t taken = std::min(count, size());
  return {name, images.rows(0, taken), labels.rows(0, taken), classes};
}

Dataset Dataset::subset(std::span<const std::int64_t> indices) const {
  const auto count = static_cast<std::int64_t>(indices.size());
  Dataset chosen{name, Tensor::empty(image_shape().batched(count), DType::U8), Tensor::empty({count}, DType::S32),
                 classes};
  const auto image_bytes = static_cast<std::size_t>(image_shape().elements());
  for (std::size_t i = 0; i < indices.size(); ++i) {
    check(indices[i] >= 0 && indices[i] < size(), name, ": subset: index ", indices[i], " is not in [0, ", size(), ')');
    const auto from = static_cast<std::size_t>(indices[i]);
    std::memcpy(chosen.images.raw() + i * image_bytes, images.raw() + from * image_bytes, image_bytes);
    chosen.labels.data<std::int32_t>()[i] = labels.data<std::int32_t>()[from];
  }
  return chosen;
}

void DataSource::describe(const std::string& called, const std::filesystem::path& from) {
  name = valid_utf8(called);
  train.name = name + " train";
  test.name = name + " test";
  std::ostringstream text;
  text << name << " from " << valid_utf8(from.string()) << ": " << train.size() << " training and " << test.size()
       << " test images";
  description = text.str();
}

void DataSource::validate(const std::string& where) const {
  train.validate(where + " (train)");
  test.validate(where + " (test)");
  check(train.image_shape() == test.image_shape(), where, ": training images are ", train.image_shape(),
        " but test images are ", test.image_shape());
  check(train.classes == test.classes, where, ": training data have ", train.classes, " classes but test data have ",
        test.classes);
}

std::string name_of_path(const std::filesystem::path& path) {
  std::error_code error;
  const std::filesystem::path whole = std::filesystem::absolute(path, error).lexically_normal();
  const std::filesystem::path last = whole.has_filename() ? whole : whole.parent_path();
  const bool is_folder = std::filesystem::is_directory(last, error);
  const std::string name = (is_folder ? last.filename() : last.stem()).string();
  return name.empty() ? "data" : valid_utf8(name);
}

std::vector<std::int64_t> class_counts(const Dataset& dataset, std::int64_t classes) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(std::max(classes, dataset.classes)));
  for (const std::int32_t label : dataset.labels.data<std::int32_t>()) {
    ++counts[static_cast<std::size_t>(label)];
  }
  return counts;
}

}  // namespace detent::data
