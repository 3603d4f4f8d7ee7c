#include "detent/kernels/product/few_channels.h"

#include <algorithm>

#include "detent/core/conversion.h"
#include "detent/core/memory.h"
#include "detent/core/processor/vectorized.h"

namespace detent::kernels::few_channels {
namespace {

constexpr std::int64_t kMostChannels = 3;

DETENT_VECTORIZED void add_line(const float* __restrict from, std::int64_t count, float* __restrict to) {
  for (std::int64_t i = 0; i < count; ++i) {
    to[i] += from[i];
  }
}

/// A plane a channel, with the padding around it.
struct Planes {
  std::int64_t height, width;
  float* data;

  Planes(const ConvShape& s, float* memory) : height(s.h + s.padding.h()), width(s.w + s.padding.w()), data(memory) {}
  static std::int64_t elements(const ConvShape& s) { return s.c * (s.h + s.padding.h()) * (s.w + s.padding.w()); }
  float* line(std::int64_t channel, std::int64_t y) const { return data + (channel * height + y) * width; }
};

/// Adds the products of a tap, [OH, OW], to a channel.
void add_tap(const ConvShape& s, const float* products, std::int64_t i, std::int64_t j, std::int64_t channel,
             const Planes& planes) {
  const std::int64_t width = s.out_w();
  for (std::int64_t row = 0; row < s.out_h(); ++row, products += width) {
    float* const to = planes.line(channel, row * s.stride_h + i * s.dilation_h) + j * s.dilation_w;
    if (s.stride_w == 1) {
      add_line(products, width, to);
      continue;
    }
    for (std::int64_t column = 0; column < width; ++column) {
      to[column * s.stride_w] += products[column];
    }
  }
}

/// The image within the padding, a line at a time.
void store(const ConvShape& s, const Planes& planes, float* line, DType dtype, std::byte* dx) {
  const auto count = static_cast<std::size_t>(s.w * s.c);
  for (std::int64_t y = 0; y < s.h; ++y, dx += count * size_of(dtype)) {
    float* const to = dtype == DType::F32 ? reinterpret_cast<float*>(dx) : line;
    for (std::int64_t channel = 0; channel < s.c; ++channel) {
      const float* const from = planes.line(channel, y + s.padding.top) + s.padding.left;
      for (std::int64_t x = 0; x < s.w; ++x) {
        to[x * s.c + channel] = from[x];
      }
    }
    if (dtype == DType::BF16) {
      convert(std::span<const float>(line, count), reinterpret_cast<bfloat16*>(dx));
    }
  }
}

}  // namespace

bool serves(const ConvShape& shape, onednn::Product product) {
  return product == onednn::Product::BackwardData && shape.groups == 1 && shape.c <= kMostChannels &&
         shape.kh * shape.kw > 1;
}

void backward_data(const ConvShape& s, DType dtype, const std::byte* dy, const std::byte* weight, DType dx_dtype,
                   std::byte* dx) {
  const std::int64_t pixels = s.out_h() * s.out_w(), taps = s.kh * s.kw;
  const onednn::PlanPointer plan = onednn::gemm_plan({.m = s.depth(),
                                                      .k = s.o,
                                                      .n = pixels,
                                                      .transpose_a = true,
                                                      .transpose_b = true,
                                                      .lda = s.depth(),
                                                      .ldb = s.o,
                                                      .ldy = pixels,
                                                      .dtype = dtype,
                                                      .out = DType::F32});
  const std::int64_t planes_size = Planes::elements(s);
  float* const products = thread_scratch_of<float>(
      static_cast<std::size_t>(s.depth() * pixels + planes_size + s.w * s.c), Scratch::ProductSums);
  const Planes planes(s, products + s.depth() * pixels);
  const auto dy_bytes = static_cast<std::size_t>(s.output_row()) * size_of(dtype);
  const auto dx_bytes = static_cast<std::size_t>(s.input_row()) * size_of(dx_dtype);
  for (std::int64_t image = 0; image < s.n; ++image, dy += dy_bytes, dx += dx_bytes) {
    onednn::run(*plan, {.a = weight, .b = dy, .y = products});
    std::fill_n(planes.data, planes_size, 0.0F);
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      for (std::int64_t channel = 0; channel < s.c; ++channel) {
        add_tap(s, products + (tap * s.c + channel) * pixels, tap / s.kw, tap % s.kw, channel, planes);
      }
    }
    store(s, planes, planes.data + planes_size, dx_dtype, dx);
  }
}

}  // namespace detent::kernels::few_channels
