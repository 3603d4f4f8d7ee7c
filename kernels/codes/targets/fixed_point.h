#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

/// How TFLite multiplies integers by real numbers, without floats: gemmlowp's fixed-point arithmetic
/// (fixedpoint/fixedpoint.h) as tflite/kernels/internal/common.cc and quantization_util.cc use it, in the default
/// build, which rounds twice.
namespace detent::kernels::fixed_point {

inline std::int32_t saturate(std::int64_t x) {
  using Limits = std::numeric_limits<std::int32_t>;
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(x, Limits::min(), Limits::max()));
}

/// a * b / 2^31 to nearest, ties up; of twice -2^31, which does not fit, 2^31 - 1. SaturatingRoundingDoublingHighMul.
inline std::int32_t doubling_high_product(std::int32_t a, std::int32_t b) {
  constexpr std::int32_t kLowest = std::numeric_limits<std::int32_t>::min();
  if (a == kLowest && b == kLowest) {
    return std::numeric_limits<std::int32_t>::max();
  }
  constexpr std::int64_t kHalf = std::int64_t{1} << 30;
  const std::int64_t product = std::int64_t{a} * b;
  return static_cast<std::int32_t>((product + (product >= 0 ? kHalf : 1 - kHalf)) / (std::int64_t{1} << 31));
}

/// x / 2^exponent to nearest, ties away from zero. RoundingDivideByPOT. REQUIRES: 0 <= exponent <= 31.
inline std::int32_t divide_by_power(std::int32_t x, int exponent) {
  const std::int64_t mask = (std::int64_t{1} << exponent) - 1;
  const std::int64_t rest = x & mask;
  const std::int64_t half = (mask >> 1) + (x < 0 ? 1 : 0);
  return (x >> exponent) + (rest > half ? 1 : 0);
}

/// A positive real number as mantissa / 2^31 * 2^shift, mantissa in [2^30, 2^31). 0 where it is below about 2^-32.
struct Multiplier {
  std::int32_t mantissa = 0;
  int shift = 0;
  bool operator==(const Multiplier&) const = default;
};

/// The nearest Multiplier, ties of the mantissa away from zero. QuantizeMultiplier. REQUIRES: real >= 0, finite.
inline Multiplier multiplier_of(double real) {
  if (real == 0.0) {
    return {};
  }
  constexpr std::int64_t kOne = std::int64_t{1} << 31;
  int shift = 0;
  std::int64_t mantissa = std::llround(std::frexp(real, &shift) * static_cast<double>(kOne));
  if (mantissa == kOne) {
    mantissa /= 2;
    ++shift;
  }
  return shift < -31 ? Multiplier{} : Multiplier{static_cast<std::int32_t>(mantissa), shift};
}

/// x * multiplier, rounded twice: to 31 bits behind the point, then to a whole number. MultiplyByQuantizedMultiplier.
/// What would overflow there saturates here.
inline std::int32_t multiply(std::int32_t x, Multiplier multiplier) {
  const int left = std::clamp(multiplier.shift, 0, 32);
  const int right = std::max(-multiplier.shift, 0);
  const std::int32_t shifted = saturate(std::int64_t{x} * (std::int64_t{1} << left));
  return divide_by_power(doubling_high_product(shifted, multiplier.mantissa), right);
}

}  // namespace detent::kernels::fixed_point
