#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "detent/core/dtype.h"
#include "detent/core/threads/parallel.h"

/// Numbers of one element type as those of another.
namespace detent {

/// A cut of `elements` elements, and the elements of one of its slices: a multiple of 64 but for the last.
Slices element_slices(std::int64_t elements);
Range elements_of(Range grains, std::int64_t elements);
/// Calls fn(range) for slices of `elements` elements in parallel; a slice is a multiple of 64 elements but for the
/// last.
void for_each_slice(std::int64_t elements, const std::function<void(Range)>& fn);

/// y[i] = x[i] as another type, in parallel: between any of f32, f64, bf16, f16 (to nearest, ties to even; f64 to a
/// 16-bit type goes by f32), and from u8 or s8 to f32 or bf16. Throws Error for other pairs.
void cast(DType from, DType to, std::int64_t elements, const std::byte* x, std::byte* y);

/// y[i] = T(x[i]) between f32 and bf16 or f16, to nearest, ties to even; vectorized, single-threaded.
void convert(std::span<const float> x, bfloat16* y);
void convert(std::span<const bfloat16> x, float* y);
void convert(std::span<const float> x, float16* y);
void convert(std::span<const float16> x, float* y);
/// x[i] = float(float16(x[i])): the nearest number that f16 has, infinity from 65520 on.
void round_to_float16(std::span<float> x);
/// x[i] = float(bfloat16(x[i]))
void round_to_bfloat16(std::span<float> x);
/// Codes as numbers: exact, since |q| <= 256.
void convert(std::span<const std::uint8_t> x, bfloat16* y);
void convert(std::span<const std::uint8_t> x, float* y);
void convert(std::span<const std::int8_t> x, bfloat16* y);
void convert(std::span<const std::int8_t> x, float* y);

/// rne(x), to nearest, ties to even; what is not finite stays what it is.
double round_to_nearest(double x);
/// A number, not a code: rne(x) clamped to [low, high], of which NaN gives 0. REQUIRES: low <= 0 <= high.
std::int32_t nearest_integer(double x, std::int32_t low, std::int32_t high);

}  // namespace detent
