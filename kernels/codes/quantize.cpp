#include "detent/kernels/codes/quantize.h"

#include <cmath>
#include <limits>

#include "detent/core/conversion.h"
#include "detent/core/dtype.h"
#include "detent/core/processor/vectorized.h"
#include "detent/kernels/codes/rounding.h"

namespace detent {
namespace {

constexpr float kSmallestScale = 0x1p-60F;

std::int32_t zero_point_of(float low, float scale, CodeRange codes) {
  const auto span = static_cast<float>(codes.qmax - codes.qmin);
  return codes.qmin + kernels::round_clamped(-(low / scale), 0.0F, span);
}

}  // namespace

ScaleZero choose_qparams(float min, float max, CodeRange codes, Scheme scheme) {
  check(std::isfinite(min) && std::isfinite(max) && min <= max,
        "choose_qparams: expected a finite range with min <= max, got [", min, ", ", max, "]");
  const float low = std::min(min, 0.0F);
  const float high = std::max(max, 0.0F);
  constexpr float kLargest = std::numeric_limits<float>::max();
  if (scheme == Scheme::Symmetric) {
    return {std::max(std::max(-low, high) / static_cast<float>(codes.qmax), kSmallestScale), 0};
  }
  const float width = std::min(high - low, kLargest);
  const float scale = std::max(width / static_cast<float>(codes.qmax - codes.qmin), kSmallestScale);
  return {scale, zero_point_of(low, scale, codes)};
}

ScaleZero qparams_of_scale(float min, float scale, CodeRange codes, Scheme scheme) {
  check(std::isfinite(scale) && scale >= kSmallestScale, "qparams: expected a finite scale of at least 2^-60, got ",
        scale);
  return {scale, scheme == Scheme::Symmetric ? 0 : zero_point_of(std::min(min, 0.0F), scale, codes)};
}

float scale_for_bias(float scale, float bias, float input_scale) {
  // Products of an f32 with an f32 and 2^30 are exact in double, so the comparison is that of the reals.
  const double size = std::abs(double{bias});
  const double unit = double{kLargestBias} * double{input_scale};
  if (size <= unit * double{scale}) {
    return scale;
  }
  const double needed = size / unit;
  check(needed < double{std::numeric_limits<float>::max()},
        "bias: expected a number that fits beside an input of scale ", input_scale, ", got ", bias,
        "; training has diverged");
  const auto raised = static_cast<float>(needed);
  return unit * double{raised} < size ? std::nextafter(raised, std::numeric_limits<float>::infinity()) : raised;
}

std::int32_t quantize(float x, ScaleZero map, CodeRange codes) {
  return kernels::round_clamped(x / map.scale, static_cast<float>(codes.qmin - map.zero_point),
                                static_cast<float>(codes.qmax - map.zero_point)) +
         map.zero_point;
}

float dequantize(std::int32_t q, ScaleZero map) { return map.scale * static_cast<float>(q - map.zero_point); }

namespace kernels {
namespace {

constexpr std::int64_t kBlock = 512;

template <typename Q>
[[gnu::always_inline]] inline void quantize_codes(const float* x, std::int64_t n, ScaleZero map, CodeRange codes,
                                                  Q* q) {
  const auto low = static_cast<float>(codes.qmin - map.zero_point);
  const auto high = static_cast<float>(codes.qmax - map.zero_point);
  for (std::int64_t i = 0; i < n; ++i) {
    q[i] = static_cast<Q>(round_clamped(x[i] / map.scale, low, high) + map.zero_point);
  }
}

DETENT_VECTORIZED void quantize_u8(const float* x, std::int64_t n, ScaleZero map, CodeRange codes, std::uint8_t* q) {
  quantize_codes(x, n, map, codes, q);
}

DETENT_VECTORIZED void quantize_s8(const float* x, std::int64_t n, ScaleZero map, CodeRange codes, std::int8_t* q) {
  quantize_codes(x, n, map, codes, q);
}

DETENT_VECTORIZED void mark_inside(const float* __restrict x, std::int64_t n, float scale, Inside inside,
                                   std::uint8_t* __restrict flags) {
  for (std::int64_t i = 0; i < n; ++i) {
    const float t = x[i] / scale;
    flags[i] = static_cast<std::uint8_t>((t >= inside.low) & (t <= inside.high));
  }
}

void mask_inside(std::span<const float> x, ScaleZero map, CodeRange codes, std::uint8_t* mask) {
  const Inside inside(codes.qmin - map.zero_point, codes.qmax - map.zero_point);
  const auto total = static_cast<std::int64_t>(x.size());
  for (std::int64_t begin = 0; begin < total; begin += kBlock) {
    alignas(64) std::uint8_t flags[kBlock] = {};
    const std::int64_t n = std::min(kBlock, total - begin);
    mark_inside(x.data() + begin, n, map.scale, inside, flags);
    pack_bits(flags, n, mask + begin / 8);
  }
}

template <typename Q>
[[gnu::always_inline]] inline void dequantize_codes(const Q* q, std::int64_t n, ScaleZero map, float* x) {
  for (std::int64_t i = 0; i < n; ++i) {
    x[i] = map.scale * static_cast<float>(static_cast<std::int32_t>(q[i]) - map.zero_point);
  }
}

DETENT_VECTORIZED void dequantize_u8(const std::uint8_t* q, std::int64_t n, ScaleZero map, float* x) {
  dequantize_codes(q, n, map, x);
}

DETENT_VECTORIZED void dequantize_s8(const std::int8_t* q, std::int64_t n, ScaleZero map, float* x) {
  dequantize_codes(q, n, map, x);
}

DETENT_VECTORIZED void include_lanes(const float* x, std::int64_t n, MinMaxLanes* lanes) {
  MinMaxLanes local = *lanes;
  for (std::int64_t i = 0; i + MinMaxLanes::kLanes <= n; i += MinMaxLanes::kLanes) {
    for (int lane = 0; lane < MinMaxLanes::kLanes; ++lane) {
      local.include(lane, x[i + lane]);
    }
  }
  *lanes = local;
}

/// dx = dy where the bit is set, on words of the element's width: a cleared bit gives +0 whatever dy is.
template <typename Word>
[[gnu::always_inline]] inline void mask_words(const Word* dy, std::int64_t n, const std::uint8_t* mask, Word* dx) {
  const std::int64_t whole = n / 8;
  for (std::int64_t byte = 0; byte < whole; ++byte) {
    const unsigned bits = mask[byte];
    for (int bit = 0; bit < 8; ++bit) {
      dx[byte * 8 + bit] =
          static_cast<Word>(dy[byte * 8 + bit] & static_cast<Word>(-static_cast<Word>(bits >> bit & 1U)));
    }
  }
  for (std::int64_t i = whole * 8; i < n; ++i) {
    dx[i] = (mask[i / 8] >> (i % 8) & 1) != 0 ? dy[i] : Word{0};
  }
}

DETENT_VECTORIZED void mask_words32(const std::uint32_t* dy, std::int64_t n, const std::uint8_t* mask,
                                    std::uint32_t* dx) {
  mask_words(dy, n, mask, dx);
}

DETENT_VECTORIZED void mask_words64(const std::uint64_t* dy, std::int64_t n, const std::uint8_t* mask,
                                    std::uint64_t* dx) {
  mask_words(dy, n, mask, dx);
}

DETENT_VECTORIZED void mask_words16(const std::uint16_t* dy, std::int64_t n, const std::uint8_t* mask,
                                    std::uint16_t* dx) {
  mask_words(dy, n, mask, dx);
}

}  // namespace

MinMax min_max(std::span<const float> x) {
  MinMaxLanes lanes;
  const auto total = static_cast<std::int64_t>(x.size());
  include_lanes(x.data(), total, &lanes);
  for (std::int64_t i = total - total % MinMaxLanes::kLanes; i < total; ++i) {
    lanes.include(0, x[static_cast<std::size_t>(i)]);
  }
  return lanes.result();
}

template <typename Q>
void quantize(std::span<const float> x, ScaleZero map, CodeRange codes, Q* q, std::uint8_t* mask) {
  const auto n = static_cast<std::int64_t>(x.size());
  if constexpr (std::is_same_v<Q, std::uint8_t>) {
    quantize_u8(x.data(), n, map, codes, q);
  } else {
    quantize_s8(x.data(), n, map, codes, q);
  }
  if (mask != nullptr) {
    mask_inside(x, map, codes, mask);
  }
}

template void quantize(std::span<const float>, ScaleZero, CodeRange, std::uint8_t*, std::uint8_t*);
template void quantize(std::span<const float>, ScaleZero, CodeRange, std::int8_t*, std::uint8_t*);

template <>
void dequantize(std::span<const std::uint8_t> q, ScaleZero map, float* x) {
  dequantize_u8(q.data(), static_cast<std::int64_t>(q.size()), map, x);
}

template <>
void dequantize(std::span<const std::int8_t> q, ScaleZero map, float* x) {
  dequantize_s8(q.data(), static_cast<std::int64_t>(q.size()), map, x);
}

template <>
void apply_mask(std::span<const float> dy, const std::uint8_t* mask, float* dx) {
  mask_words32(reinterpret_cast<const std::uint32_t*>(dy.data()), static_cast<std::int64_t>(dy.size()), mask,
               reinterpret_cast<std::uint32_t*>(dx));
}

template <>
void apply_mask(std::span<const double> dy, const std::uint8_t* mask, double* dx) {
  mask_words64(reinterpret_cast<const std::uint64_t*>(dy.data()), static_cast<std::int64_t>(dy.size()), mask,
               reinterpret_cast<std::uint64_t*>(dx));
}

template <>
void apply_mask(std::span<const bfloat16> dy, const std::uint8_t* mask, bfloat16* dx) {
  mask_words16(reinterpret_cast<const std::uint16_t*>(dy.data()), static_cast<std::int64_t>(dy.size()), mask,
               reinterpret_cast<std::uint16_t*>(dx));
}

namespace {

double unit_of(ScaleZero input, const QParams& weight, std::size_t o) {
  return double{input.scale} * double{weight.scale_of(weight.channels() == 1 ? 0 : o)};
}

}  // namespace

float multiplier_of(double ratio) { return static_cast<float>(std::min(ratio, 0x1p64)); }

std::vector<std::int32_t> bias_codes(ScaleZero input, const QParams& weight, std::span<const float> bias) {
  std::vector<std::int32_t> codes;
  for (std::size_t o = 0; o < bias.size(); ++o) {
    const double code = round_to_nearest(double{bias[o]} / unit_of(input, weight, o));
    check(std::abs(code) <= kLargestBias, "bias: element ", o, ": expected at most 2^30 times the scales of input and ",
          "weight, got ", bias[o], ", ", code, " times");
    codes.push_back(static_cast<std::int32_t>(code));
  }
  return codes;
}

Requantization make_requantization(ScaleZero input, const QParams& weight, std::span<const float> bias,
                                   std::int64_t outputs, ScaleZero output, CodeRange codes, bool relu) {
  const auto o_count = static_cast<std::size_t>(outputs);
  check(outputs >= 1, "requantize: expected at least one output, got ", outputs);
  check(weight.channels() == 1 || weight.channels() == o_count, "requantize: expected 1 or ", outputs,
        " weight scales, got ", weight.channels());
  check(bias.empty() || bias.size() == o_count, "requantize: expected ", outputs, " biases or none, got ", bias.size());
  constexpr double kLargest = std::numeric_limits<float>::max();
  Requantization r{.multiplier = {},
                   .bias = {},
                   .real_scale = {},
                   .output = output,
                   .codes = codes,
                   .relu = relu,
                   .groups = weight.groups};
  for (std::size_t o = 0; o < o_count; ++o) {
    const double unit = unit_of(input, weight, o);
    if (weight.is_per_group()) {
      r.bias_multiplier.push_back(multiplier_of(unit / double{output.scale}));
    } else {
      r.multiplier.push_back(multiplier_of(unit / double{output.scale}));
    }
    r.real_scale.push_back(static_cast<float>(std::min(unit, kLargest)));
    if (!bias.empty()) {
      const double code = round_to_nearest(double{bias[o]} / unit);
      check(std::abs(code) <= kLargest, "requantize: bias of output ", o, ": expected a finite number of units of ",
            unit, ", got ", bias[o]);
      r.bias.push_back(static_cast<float>(code));
    }
  }
  for (std::int64_t g = 0; weight.is_per_group() && g < weight.groups; ++g) {
    for (std::size_t o = 0; o < o_count; ++o) {
      r.multiplier.push_back(multiplier_of(double{input.scale} * double{weight.scale_of(o, g)} / double{output.scale}));
    }
  }
  return r;
}

Requantization make_average_requantization(ScaleZero input, std::int64_t count, std::int64_t channels, ScaleZero output,
                                           CodeRange codes) {
  check(count >= 1 && channels >= 1, "requantize: expected a count and channels of at least 1, got ", count, " and ",
        channels);
  const auto n = static_cast<double>(count);
  const auto c = static_cast<std::size_t>(channels);
  return {.multiplier = std::vector<float>(c, multiplier_of(double{input.scale} / (n * double{output.scale}))),
          .bias = {},
          .real_scale = std::vector<float>(c, static_cast<float>(double{input.scale} / n)),
          .output = output,
          .codes = codes,
          .relu = false};
}

}  // namespace kernels
}  // namespace detent
