#include "data/dataset.h"

#include <algorithm>
#include <cstring>

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

}  // namespace detent::data
