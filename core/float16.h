#pragma once

#include <bit>
#include <cstdint>

#include "detent/core/dtype.h"

/// Conversions between f32 and the 16-bit floats in forms that compilers vectorize on every processor. Private to the
/// sources of this folder. They agree bit for bit with Eigen's but for the payload of NaN.
namespace detent {

/// The 16-bit floats as scalars: loops over classes do not vectorize.
enum class [[gnu::may_alias]] Bf16Bits : std::uint16_t{};
enum class [[gnu::may_alias]] F16Bits : std::uint16_t{};

inline const Bf16Bits* raw(const bfloat16* x) { return reinterpret_cast<const Bf16Bits*>(x); }
inline Bf16Bits* raw(bfloat16* x) { return reinterpret_cast<Bf16Bits*>(x); }
inline const F16Bits* raw(const float16* x) { return reinterpret_cast<const F16Bits*>(x); }
inline F16Bits* raw(float16* x) { return reinterpret_cast<F16Bits*>(x); }
template <typename T>
T* raw(T* x) {
  return x;
}

[[gnu::always_inline]] inline float promote(Bf16Bits x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x) << 16);
}

/// To nearest, ties to even; NaN stays NaN.
[[gnu::always_inline]] inline void demote(float x, Bf16Bits* y) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7fffU + (bits >> 16 & 1U)) >> 16;
  const std::uint32_t quiet = bits >> 16 | 64U;
  *y = static_cast<Bf16Bits>((bits & 0x7fffffffU) > 0x7f800000U ? quiet : rounded);
}

[[gnu::always_inline]] inline float promote(F16Bits x) {
  const std::uint32_t half = static_cast<std::uint16_t>(x);
  const std::uint32_t magnitude = (half & 0x7fffU) << 13;
  const std::uint32_t exponent = magnitude & 0x0f800000U;
  const std::uint32_t normal = magnitude + (112U << 23);
  // A subnormal is its mantissa above 2^-14: put the leading 1 there, and subtract it again.
  const float subnormal = std::bit_cast<float>(magnitude + (113U << 23)) - 0x1p-14F;
  const std::uint32_t special = magnitude + (224U << 23);
  const std::uint32_t finite = exponent == 0 ? std::bit_cast<std::uint32_t>(subnormal) : normal;
  return std::bit_cast<float>((exponent == 0x0f800000U ? special : finite) | (half & 0x8000U) << 16);
}

/// To nearest, ties to even; from 65520 on infinity; NaN stays NaN.
[[gnu::always_inline]] inline void demote(float x, F16Bits* y) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  const std::uint32_t special = magnitude > 0x7f800000U ? 0x7e00U : 0x7c00U;
  // Adding 1/2 shifts a subnormal's bits to the end of the mantissa, rounded.
  const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3f000000U;
  const std::uint32_t normal = (magnitude - (112U << 23) + 0xfffU + (magnitude >> 13 & 1U)) >> 13;
  const std::uint32_t finite = magnitude < (113U << 23) ? subnormal : normal;
  const std::uint32_t half = magnitude >= (143U << 23) ? special : finite;
  *y = static_cast<F16Bits>(half | (bits >> 16 & 0x8000U));
}

[[gnu::always_inline]] inline float promote(float x) { return x; }
[[gnu::always_inline]] inline double promote(double x) { return x; }
[[gnu::always_inline]] inline std::uint8_t promote(std::uint8_t x) { return x; }
[[gnu::always_inline]] inline void demote(float x, float* y) { *y = x; }
[[gnu::always_inline]] inline void demote(double x, double* y) { *y = x; }
[[gnu::always_inline]] inline void demote(std::uint8_t x, std::uint8_t* y) { *y = x; }

}  // namespace detent
