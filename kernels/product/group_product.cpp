#include "detent/kernels/product/group_product.h"

#include <algorithm>

#include "detent/core/memory.h"

namespace detent::kernels {
namespace {

/// The channels of one group within those of a convolution group.
Range channels_of(const ConvShape& shape, std::int64_t size, std::int64_t group) {
  return {group * size, std::min((group + 1) * size, shape.c / shape.groups)};
}

ConvShape part_of(ConvShape shape, Range channels) {
  shape.c = channels.size() * shape.groups;
  return shape;
}

/// dst = src[..., channels] of `rows` rows of `row` elements.
template <typename T>
void gather(const T* src, std::int64_t rows, std::int64_t row, Range channels, T* dst) {
  for (std::int64_t i = 0; i < rows; ++i) {
    std::copy_n(src + i * row + channels.begin, channels.size(), dst + i * channels.size());
  }
}

std::uint8_t* bytes_of(const std::shared_ptr<std::byte>& memory) {
  return reinterpret_cast<std::uint8_t*>(memory.get());
}

}  // namespace

GroupProduct::GroupProduct(const ConvShape& shape, const std::int8_t* weight, std::int64_t size, ProductCodes codes)
    : size_(size) {
  shape.validate();
  check(size >= 1, "group product: expected groups of at least 1 channel, got ", size);
  const std::int64_t channels = shape.c / shape.groups;
  for (std::int64_t g = 0; g < groups_of(channels, size); ++g) {
    const Range part = channels_of(shape, size, g);
    const ConvShape part_shape = part_of(shape, part);
    std::vector<std::int8_t> of_part(static_cast<std::size_t>(part_shape.weight_elements()));
    gather(weight, shape.o * shape.kh * shape.kw, channels, part, of_part.data());
    groups_.push_back(pack_integer(part_shape, of_part.data(), nullptr, codes));
  }
}

void GroupProduct::totals(const ConvShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point,
                          const Requantization& r, float* total) const {
  check(r.groups == groups(), "group product: expected the multipliers of ", groups(), " groups, got ", r.groups);
  const std::int64_t pixels = shape.n * shape.h * shape.w * shape.groups;
  const auto memory = allocate_aligned(static_cast<std::size_t>(pixels * std::min(size_, shape.c / shape.groups)));
  for (std::int64_t g = 0; g < groups(); ++g) {
    const Range part = channels_of(shape, size_, g);
    const ConvShape part_shape = part_of(shape, part);
    const Slices slices = slice_by_bytes(pixels, shape.c / shape.groups);
    parallel_slices(slices.count, [&](std::int64_t slice) {
      const std::int64_t row = shape.c / shape.groups;
      gather(x_q + slices[slice].begin * row, slices[slice].size(), row, part,
             bytes_of(memory) + slices[slice].begin * part.size());
    });
    conv2d_integer(part_shape, bytes_of(memory), x_zero_point, groups_[static_cast<std::size_t>(g)],
                   [&](std::int64_t, Range images, const std::int32_t* acc) {
                     add_group(acc, images.size() * shape.out_h() * shape.out_w(), r, g,
                               total + images.begin * shape.output_row());
                   });
  }
}

void GroupProduct::run(const ConvShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point,
                       const Requantization& r, std::uint8_t* y_q) const {
  const auto memory = allocate_aligned(static_cast<std::size_t>(shape.n * shape.output_row()) * sizeof(float));
  auto* const total = reinterpret_cast<float*>(memory.get());
  totals(shape, x_q, x_zero_point, r, total);
  const Slices slices = conv_slices(shape);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const std::int64_t first = slices[slice].begin * shape.output_row();
    requantize_totals(total + first, slices[slice].size() * shape.out_h() * shape.out_w(), r, y_q + first);
  });
}

std::size_t GroupProduct::bytes() const {
  std::size_t sum = 0;
  for (const PackedWeight& weight : groups_) {
    sum += weight.bytes();
  }
  return sum;
}

std::vector<std::span<std::byte>> GroupProduct::memory_for_tests() const {
  std::vector<std::span<std::byte>> memory;
  for (const PackedWeight& weight : groups_) {
    memory.push_back(weight.memory_for_tests());
  }
  return memory;
}

}  // namespace detent::kernels
