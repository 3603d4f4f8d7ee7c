#include <algorithm>
#include <numeric>

#include "detent/core/processor/units.h"
#include "detent/kernels/product/depthwise/depthwise.h"
#include "detent/kernels/product/depthwise/line_kernels.h"
#include "detent/kernels/product/depthwise/line_ring.h"

namespace detent::kernels::depthwise {
namespace {

std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

std::int64_t lanes_of(const ConvShape& s) { return round_up(s.c, line_kernels()->floats); }

float number(DType dtype, const std::byte* numbers, std::int64_t index) {
  return dtype == DType::F32 ? reinterpret_cast<const float*>(numbers)[index]
                             : static_cast<float>(reinterpret_cast<const bfloat16*>(numbers)[index]);
}

/// The numbers of `taps`, in this order.
Weight pack(const ConvShape& s, DType dtype, const std::byte* weight, const std::vector<std::int64_t>& taps) {
  const std::int64_t lanes = lanes_of(s);
  Weight result;
  result.bytes = taps.size() * static_cast<std::size_t>(lanes) * sizeof(float);
  result.data = allocate_aligned(result.bytes);
  auto* to = reinterpret_cast<float*>(result.data.get());
  for (const std::int64_t tap : taps) {
    for (std::int64_t c = 0; c < lanes; ++c) {
      *to++ = c < s.c ? number(dtype, weight, c * s.kh * s.kw + tap) : 0.0F;
    }
  }
  return result;
}

/// The taps of an axis by the residue, with respect to the stride, of the inputs (counted from the padding's first)
/// that they reach from some output.
std::vector<std::vector<std::int64_t>> taps_by_residue(std::int64_t taps, std::int64_t dilation, std::int64_t stride) {
  std::vector<std::vector<std::int64_t>> result(static_cast<std::size_t>(stride));
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    result[static_cast<std::size_t>(tap * dilation % stride)].push_back(tap);
  }
  return result;
}

/// The memory of a call: a ring, and a line of f32 numbers with `lanes` a pixel.
template <typename S>
struct Memory {
  using Ring = LineRing<float, S>;
  std::int64_t* offsets;
  float* line;
  float* ring;
  Memory(const typename Ring::Format& format, std::int64_t taps, std::int64_t line_elements) {
    const std::int64_t offset_bytes = round_up(taps * static_cast<std::int64_t>(sizeof(std::int64_t)), 64);
    const std::int64_t elements = round_up(line_elements, 16) + format.elements();
    std::byte* const memory =
        thread_scratch(static_cast<std::size_t>(offset_bytes) + static_cast<std::size_t>(elements) * sizeof(float),
                       Scratch::ProductLines);
    offsets = reinterpret_cast<std::int64_t*>(memory);
    line = reinterpret_cast<float*>(memory + offset_bytes);
    ring = line + round_up(line_elements, 16);
  }
};

template <typename S>
typename LineRing<float, S>::Format input_format(const ConvShape& s) {
  return {.height = s.h,
          .width = s.w,
          .channels = s.c,
          .first_column = -s.padding.left,
          .columns = (s.out_w() - 1) * s.stride_w + s.dilation_w * (s.kw - 1) + 1,
          .lanes = lanes_of(s),
          .lines = s.dilation_h * (s.kh - 1) + 1,
          .fill = 0.0F};
}

/// Brings the input lines of line `i` of the results into the ring, and says where the taps are.
template <typename S>
void reach_inputs(const ConvShape& s, std::int64_t i, LineRing<float, S>& ring, std::int64_t* offsets) {
  const std::int64_t first = i * s.stride_h - s.padding.top;
  ring.reach(first, first + s.dilation_h * (s.kh - 1));
  for (std::int64_t row = 0; row < s.kh; ++row) {
    const std::int64_t line = ring.offset(first + row * s.dilation_h);
    for (std::int64_t column = 0; column < s.kw; ++column) {
      *offsets++ = line + column * s.dilation_w * lanes_of(s);
    }
  }
}

template <typename S, typename T>
void forward_of(const ConvShape& s, Range lines, const S* x, const float* weight, const float* bias, bool relu, T* y) {
  const auto format = input_format<S>(s);
  const std::int64_t lanes = format.lanes;
  const bool is_direct = std::is_same_v<T, float> && lanes == s.c;
  const Memory<S> memory(format, s.kh * s.kw, (is_direct ? 0 : s.out_w() * lanes) + lanes);
  LineRing<float, S> ring(format, memory.ring);
  float* const result = memory.line + lanes;
  if (bias != nullptr && lanes != s.c) {
    std::fill_n(std::copy_n(bias, s.c, memory.line), lanes - s.c, 0.0F);
    bias = memory.line;
  }
  FloatLine line{.x = ring.memory(),
                 .offsets = memory.offsets,
                 .taps = s.kh * s.kw,
                 .weight = weight,
                 .bias = bias,
                 .relu = relu,
                 .channels = lanes,
                 .pixels = s.out_w(),
                 .x_step = s.stride_w * lanes,
                 .y_step = lanes,
                 .y = result};
  for (std::int64_t image = 0; image < s.n; ++image) {
    ring.start(x + image * s.input_row());
    for (std::int64_t i = lines.begin; i < lines.end; ++i) {
      reach_inputs(s, i, ring, memory.offsets);
      T* const to = y + image * s.output_row() + i * s.out_w() * s.c;
      if (is_direct) {
        line.y = reinterpret_cast<float*>(to);
      }
      line_kernels()->float_line(line);
      if (!is_direct) {
        copy_pixels(result, lanes, s.out_w(), s.c, to, s.c);
      }
    }
  }
}

template <typename S, typename T>
void backward_data_of(const ConvShape& s, const S* dy, const float* weight, T* dx) {
  const std::int64_t lanes = lanes_of(s);
  const std::int64_t reach_h = s.dilation_h * (s.kh - 1), reach_w = s.dilation_w * (s.kw - 1);
  const std::int64_t first_column = floor_div(s.padding.left - reach_w, s.stride_w);
  const typename LineRing<float, S>::Format format{
      .height = s.out_h(),
      .width = s.out_w(),
      .channels = s.c,
      .first_column = first_column,
      .columns = floor_div(s.w - 1 + s.padding.left, s.stride_w) - first_column + 1,
      .lanes = lanes,
      .lines = reach_h / s.stride_h + 2,
      .fill = 0.0F};
  const bool is_direct = std::is_same_v<T, float> && lanes == s.c;
  const Memory<S> memory(format, s.kh * s.kw, is_direct ? 0 : s.w * lanes);
  LineRing<float, S> ring(format, memory.ring);
  const auto rows_by_residue = taps_by_residue(s.kh, s.dilation_h, s.stride_h);
  const auto columns_by_residue = taps_by_residue(s.kw, s.dilation_w, s.stride_w);
  FloatLine line{
      .x = ring.memory(), .offsets = memory.offsets, .channels = lanes, .x_step = lanes, .y_step = s.stride_w * lanes};
  for (std::int64_t image = 0; image < s.n; ++image) {
    ring.start(dy + image * s.output_row());
    for (std::int64_t i = 0; i < s.h; ++i) {
      const std::int64_t below = i + s.padding.top;
      ring.reach(floor_div(below - reach_h, s.stride_h), floor_div(below, s.stride_h));
      T* const to = dx + image * s.input_row() + i * s.w * s.c;
      float* const result = is_direct ? reinterpret_cast<float*>(to) : memory.line;
      // The weight lies by residue of the line, and then of the column: see pack_backward.
      line.weight = weight;
      for (std::int64_t residue = 0; residue < below % s.stride_h; ++residue) {
        line.weight +=
            static_cast<std::int64_t>(rows_by_residue[static_cast<std::size_t>(residue)].size()) * s.kw * lanes;
      }
      const auto& rows = rows_by_residue[static_cast<std::size_t>(below % s.stride_h)];
      for (std::int64_t residue = 0; residue < s.stride_w; ++residue) {
        const auto& columns = columns_by_residue[static_cast<std::size_t>(residue)];
        const std::int64_t begin = ((residue - s.padding.left) % s.stride_w + s.stride_w) % s.stride_w;
        std::int64_t* offset = memory.offsets;
        for (const std::int64_t row : rows) {
          for (const std::int64_t column : columns) {
            const std::int64_t from = (begin + s.padding.left - column * s.dilation_w) / s.stride_w;
            *offset++ = ring.offset((below - row * s.dilation_h) / s.stride_h) + (from - first_column) * lanes;
          }
        }
        line.taps = static_cast<std::int64_t>(rows.size() * columns.size());
        line.pixels = begin < s.w ? (s.w - begin + s.stride_w - 1) / s.stride_w : 0;
        line.y = result + begin * lanes;
        line_kernels()->float_line(line);
        line.weight += line.taps * lanes;
      }
      if (!is_direct) {
        copy_pixels(result, lanes, s.w, s.c, to, s.c);
      }
    }
  }
}

template <typename S>
void backward_weight_of(const ConvShape& s, const S* dy, const S* x, float* sums) {
  const auto format = input_format<S>(s);
  const std::int64_t lanes = format.lanes;
  const bool is_direct = std::is_same_v<S, float> && lanes == s.c;
  const std::int64_t taps = s.kh * s.kw;
  const std::int64_t results = is_direct ? 0 : s.out_w() * lanes;
  const Memory<S> memory(format, taps, results);
  LineRing<float, S> ring(format, memory.ring);
  std::fill_n(memory.line, results, 0.0F);
  std::fill_n(sums, taps * lanes, 0.0F);
  WeightLine line{.x = ring.memory(),
                  .offsets = memory.offsets,
                  .taps = taps,
                  .dy = memory.line,
                  .channels = lanes,
                  .pixels = s.out_w(),
                  .x_step = s.stride_w * lanes,
                  .sums = sums};
  for (std::int64_t image = 0; image < s.n; ++image) {
    ring.start(x + image * s.input_row());
    for (std::int64_t i = 0; i < s.out_h(); ++i) {
      reach_inputs(s, i, ring, memory.offsets);
      const S* const from = dy + image * s.output_row() + i * s.out_w() * s.c;
      if (is_direct) {
        line.dy = reinterpret_cast<const float*>(from);
      } else {
        copy_pixels(from, s.c, s.out_w(), s.c, memory.line, lanes);
      }
      line_kernels()->weight_line(line);
    }
  }
}

/// Calls fn with a number of the type.
template <typename Fn>
void with_type(DType dtype, Fn&& fn) {
  dtype == DType::F32 ? fn(float{}) : fn(bfloat16{});
}

}  // namespace

const LineKernels* line_kernels() {
#if defined(DETENT_HAS_LINE_KERNELS)
  static const LineKernels* const kernels = processor_units().avx512_vnni ? &kAvx512VnniKernels
                                            : processor_units().avx512    ? &kAvx512Kernels
                                            : processor_units().avx2      ? &kAvx2Kernels
                                                                          : nullptr;
  return kernels;
#else
  return nullptr;
#endif
}

bool serves(const ConvShape& s) {
  return s.groups > 1 && s.groups == s.c && s.groups == s.o && line_kernels() != nullptr;
}

bool serves(const ConvShape& s, onednn::Product product, DType dtype) {
  if (!serves(s)) {
    return false;
  }
  if (dtype == DType::BF16 && !has_bf16_units()) {
    return true;
  }
  const bool has_stride = s.stride_h > 1 || s.stride_w > 1;
  if (product == onednn::Product::BackwardData) {
    return dtype == DType::F32 || has_stride;
  }
  return product == onednn::Product::Forward && dtype == DType::F32 && !has_stride && line_kernels()->floats == 16;
}

Weight pack_forward(const ConvShape& shape, DType dtype, const std::byte* weight) {
  std::vector<std::int64_t> taps(static_cast<std::size_t>(shape.kh * shape.kw));
  std::iota(taps.begin(), taps.end(), 0);
  return pack(shape, dtype, weight, taps);
}

Weight pack_backward(const ConvShape& shape, DType dtype, const std::byte* weight) {
  std::vector<std::int64_t> taps;
  for (const auto& rows : taps_by_residue(shape.kh, shape.dilation_h, shape.stride_h)) {
    for (const auto& columns : taps_by_residue(shape.kw, shape.dilation_w, shape.stride_w)) {
      for (const std::int64_t row : rows) {
        for (const std::int64_t column : columns) {
          taps.push_back(row * shape.kw + column);
        }
      }
    }
  }
  return pack(shape, dtype, weight, taps);
}

void forward(const ConvShape& shape, Range lines, DType dtype, const std::byte* x, const std::byte* weight,
             const float* bias, bool relu, DType out, std::byte* y) {
  with_type(dtype, [&](auto from) {
    with_type(out, [&](auto to) {
      forward_of(shape, lines, reinterpret_cast<const decltype(from)*>(x), reinterpret_cast<const float*>(weight), bias,
                 relu, reinterpret_cast<decltype(to)*>(y));
    });
  });
}

void backward_data(const ConvShape& shape, DType dtype, const std::byte* dy, const std::byte* weight, DType dx_dtype,
                   std::byte* dx) {
  with_type(dtype, [&](auto from) {
    with_type(dx_dtype, [&](auto to) {
      backward_data_of(shape, reinterpret_cast<const decltype(from)*>(dy), reinterpret_cast<const float*>(weight),
                       reinterpret_cast<decltype(to)*>(dx));
    });
  });
}

std::int64_t weight_sums(const ConvShape& shape) { return shape.kh * shape.kw * lanes_of(shape); }

void backward_weight(const ConvShape& shape, DType dtype, const std::byte* dy, const std::byte* x, float* sums) {
  with_type(dtype, [&](auto from) {
    using S = decltype(from);
    backward_weight_of(shape, reinterpret_cast<const S*>(dy), reinterpret_cast<const S*>(x), sums);
  });
}

void unpack_sums(const ConvShape& shape, const float* sums, float* dw) {
  const std::int64_t taps = shape.kh * shape.kw, lanes = lanes_of(shape);
  for (std::int64_t c = 0; c < shape.c; ++c) {
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      dw[c * taps + tap] = sums[tap * lanes + c];
    }
  }
}

}  // namespace detent::kernels::depthwise
