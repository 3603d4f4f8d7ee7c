#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "detent/kernels/codes/quantize.h"

/// How quantize.cpp, requantize.cpp and straight_through.cpp round: their shared inline functions, in forms that
/// compilers vectorize. Private to these sources.
namespace detent::kernels {

/// rne(x) clamped to [low, high], of which NaN gives low. The bounds are integers, so clamping may come first, and then
/// adding 1.5 * 2^23 leaves the rounded integer in the low bits. REQUIRES: |low|, |high| < 2^22.
[[gnu::always_inline]] inline std::int32_t round_clamped(float x, float low, float high) {
  constexpr float kShift = 12582912.0F;
  const float above = x > low ? x : low;
  const float within = above < high ? above : high;
  return std::bit_cast<std::int32_t>(within + kShift) - std::bit_cast<std::int32_t>(kShift);
}

/// What requantize_add computes codes with.
struct Addition {
  std::int32_t a_zero = 0, b_zero = 0;
  float a_multiplier = 0, b_multiplier = 0, zero_point = 0;
  Addition() = default;
  Addition(ScaleZero a, ScaleZero b, ScaleZero output)
      : a_zero(a.zero_point),
        b_zero(b.zero_point),
        a_multiplier(multiplier_of(double{a.scale} / double{output.scale})),
        b_multiplier(multiplier_of(double{b.scale} / double{output.scale})),
        zero_point(static_cast<float>(output.zero_point)) {}
};

struct Added {
  float a, b;  // less their zero points
  float code;  // before rounding
};

[[gnu::always_inline]] inline Added added(std::int32_t a_q, std::int32_t b_q, const Addition& t) {
  const auto a = static_cast<float>(a_q - t.a_zero);
  const auto b = static_cast<float>(b_q - t.b_zero);
  return {a, b, (a * t.a_multiplier + b * t.b_multiplier) + t.zero_point};
}

/// The reals that rne takes to the codes [qmin, qmax]: ties at the borders belong to the even code.
struct Inside {
  float low = 0;
  float high = 0;
  Inside(std::int32_t qmin, std::int32_t qmax)
      : low(static_cast<float>(qmin) - 0.5F), high(static_cast<float>(qmax) + 0.5F) {
    low = qmin % 2 == 0 ? low : std::nextafter(low, static_cast<float>(qmin));
    high = qmax % 2 == 0 ? high : std::nextafter(high, static_cast<float>(qmax));
  }
};

/// Writes `count` flags (0 or 1, a byte each) as bits, the first in the lowest bit. REQUIRES: `flags` is readable up to
/// the next multiple of 8; what stands there beyond `count` is written too, so it must be 0.
[[gnu::always_inline]] inline void pack_bits(const std::uint8_t* flags, std::int64_t count, std::uint8_t* bits) {
  static_assert(std::endian::native == std::endian::little);
  for (std::int64_t i = 0; i < (count + 7) / 8; ++i) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, flags + i * 8, sizeof(eight));
    bits[i] = static_cast<std::uint8_t>((eight * 0x0102040810204080ULL) >> 56);
  }
}

/// Smallest and largest of many numbers, in 16 lanes so that it vectorizes. Numbers for which `x - x` is not 0 (NaN and
/// infinities) are not looked at.
struct MinMaxLanes {
  static constexpr int kLanes = 16;
  float min[kLanes];
  float max[kLanes];
  MinMaxLanes() {
    std::fill_n(min, kLanes, MinMax{}.min);
    std::fill_n(max, kLanes, MinMax{}.max);
  }
  [[gnu::always_inline]] void include(int lane, float x) {
    const bool finite = x - x == 0.0F;
    const float low = finite ? x : MinMax{}.min;
    const float high = finite ? x : MinMax{}.max;
    min[lane] = low < min[lane] ? low : min[lane];
    max[lane] = high > max[lane] ? high : max[lane];
  }
  /// Adding 0 makes -0 to 0: which of the two comes first would depend on the width of vectors.
  MinMax result() const {
    MinMax all;
    for (int lane = 0; lane < kLanes; ++lane) {
      all.include({min[lane], max[lane]});
    }
    return all.empty() ? all : MinMax{all.min + 0.0F, all.max + 0.0F};
  }
};

}  // namespace detent::kernels
