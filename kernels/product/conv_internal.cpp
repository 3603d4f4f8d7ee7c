#include "detent/kernels/product/conv_internal.h"

#include <algorithm>
#include <bit>

#include "detent/core/processor/units.h"
#include "detent/core/processor/vectorized.h"

namespace detent::kernels {
namespace {

/// A slice's sums and input, counted as f32 and bytes. Codes and bf16 numbers of such a slice stay in a core's cache.
constexpr std::int64_t kSliceBytes = 1024 * 1024;
constexpr std::int64_t kMostImages = 16;
/// With fewer rows, streaming the weight from memory takes longer than the products.
constexpr std::int64_t kLinearRows = 64;

/// Elements of dw that one task adds up over all partials.
constexpr std::int64_t kReduceElements = 16 * 1024;

float widen(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

DETENT_VECTORIZED void widen_all(const std::uint16_t* from, std::int64_t count, float* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    to[i] = widen(from[i]);
  }
}

DETENT_VECTORIZED void add_all(float* sum, const float* part, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    sum[i] += part[i];
  }
}

DETENT_VECTORIZED void add_four_rows(float* sums, const float* rows, std::int64_t columns) {
  const float* second = rows + columns;
  const float* third = second + columns;
  const float* fourth = third + columns;
  for (std::int64_t o = 0; o < columns; ++o) {
    sums[o] += (rows[o] + second[o]) + (third[o] + fourth[o]);
  }
}

DETENT_VECTORIZED void add_four_rows(float* sums, const std::uint16_t* rows, std::int64_t columns) {
  const std::uint16_t* second = rows + columns;
  const std::uint16_t* third = second + columns;
  const std::uint16_t* fourth = third + columns;
  for (std::int64_t o = 0; o < columns; ++o) {
    sums[o] += (widen(rows[o]) + widen(second[o])) + (widen(third[o]) + widen(fourth[o]));
  }
}

float real(float value) { return value; }
float real(std::uint16_t bits) { return widen(bits); }

template <typename T>
void add_rows(float* sums, const T* rows, std::int64_t count, std::int64_t columns) {
  std::int64_t row = 0;
  for (; row + 4 <= count; row += 4) {
    add_four_rows(sums, rows + row * columns, columns);
  }
  for (; row < count; ++row) {
    for (std::int64_t o = 0; o < columns; ++o) {
      sums[o] += real(rows[row * columns + o]);
    }
  }
}

}  // namespace

bool has_int8_units() { return processor_units().avx512_vnni; }

bool has_bf16_units() { return processor_units().avx512_bf16; }

const PackedWeight::Impl& packed_for(std::string_view op, const PackedWeight& weight, onednn::Product product,
                                     const ConvShape& shape, DType dtype) {
  check(weight.defined(), op, ": expected a packed weight, got none");
  const PackedWeight::Impl& impl = weight.impl();
  check(impl.product == product && impl.dtype == dtype, op, ": expected a weight packed for this product in ", dtype,
        ", got one packed for another product or in ", impl.dtype);
  ConvShape one = shape;
  one.n = 1;
  check(impl.shape == one, op, ": expected a packed weight of ", shape.weight_shape(), " for images of ",
        Shape{shape.h, shape.w, shape.c}, ", got one of ", impl.shape.weight_shape(), " for images of ",
        Shape{impl.shape.h, impl.shape.w, impl.shape.c}, " or with another stride, padding or dilation");
  return impl;
}

std::int64_t images_per_slice(const ConvShape& shape) {
  if (shape.is_linear()) {
    return kLinearRows;
  }
  return std::clamp<std::int64_t>(kSliceBytes / (4 * shape.output_row() + shape.input_row()), 1, kMostImages);
}

std::shared_ptr<std::byte> op_buffer(std::size_t bytes) {
  // Never destroyed, since threads may outlive static destruction.
  static Arena& arena = *new Arena;
  return arena.allocate(bytes);
}

void convert_to_float(const bfloat16* from, std::int64_t count, float* to) {
  widen_all(reinterpret_cast<const std::uint16_t*>(from), count, to);
}

std::shared_ptr<std::byte> widened(const std::byte* from, std::int64_t count) {
  auto wide = op_buffer(static_cast<std::size_t>(count) * sizeof(float));
  convert_to_float(reinterpret_cast<const bfloat16*>(from), count, reinterpret_cast<float*>(wide.get()));
  return wide;
}

void convert_to_bfloat16(const float* from, std::int64_t count, bfloat16* to) {
  std::transform(from, from + count, to, [](float value) { return bfloat16(value); });
}

void add_to(float* sum, const float* part, std::int64_t count) { add_all(sum, part, count); }

void add_partials(float* first, std::int64_t count, std::int64_t elements) {
  const Slices ranges = slice_rows(elements, kReduceElements);
  parallel_slices(ranges.count, [&](std::int64_t index) {
    const Range range = ranges[index];
    for (std::int64_t partial = 1; partial < count; ++partial) {
      add_to(first + range.begin, first + partial * elements + range.begin, range.size());
    }
  });
}

void add_rows_to(float* sums, DType dtype, const std::byte* rows, std::int64_t count, std::int64_t columns) {
  if (dtype == DType::F32) {
    add_rows(sums, reinterpret_cast<const float*>(rows), count, columns);
  } else {
    add_rows(sums, reinterpret_cast<const std::uint16_t*>(rows), count, columns);
  }
}

}  // namespace detent::kernels
