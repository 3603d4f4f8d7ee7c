#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "kernels/dtype.h"
#include "kernels/parallel.h"

namespace detent::kernels {

/// Calls fn(range) for slices of `elements` elements in parallel; a slice is a multiple of 64 elements but for the
/// last.
void for_each_slice(std::int64_t elements, const std::function<void(Range)>& fn);

/// sum[i] += x[i], in parallel, for f32, f64, bf16 and f16 (the sum is rounded to nearest, ties to even).
void add_in_place(DType dtype, std::int64_t elements, const std::byte* x, std::byte* sum);

/// y = a + b, y = a * b, y = factor * x, y += factor * x, element by element, in parallel. T is float, double, bfloat16
/// or float16; the last two are computed in f32 and rounded once. `y` may be one of the operands.
template <typename T>
void add(std::int64_t elements, const T* a, const T* b, T* y);
template <typename T>
void multiply(std::int64_t elements, const T* a, const T* b, T* y);
template <typename T>
void scale(std::int64_t elements, double factor, const T* x, T* y);
template <typename T>
void axpy(std::int64_t elements, double factor, const T* x, T* y);

/// The sum of all elements, in double: within slices, then over slices in order. T is float or double.
template <typename T>
double sum(std::int64_t elements, const T* x);

/// y[i] = x[i] as another type, in parallel: between any of f32, f64, bf16, f16 (to nearest, ties to even; f64 to a
/// 16-bit type goes by f32), and from u8 or s8 to f32 or bf16. Throws Error for other pairs.
void cast(DType from, DType to, std::int64_t elements, const std::byte* x, std::byte* y);

/// y[i] = T(x[i]) between f32 and bf16 or f16, to nearest, ties to even; vectorized, single-threaded.
void convert(std::span<const float> x, bfloat16* y);
void convert(std::span<const bfloat16> x, float* y);
void convert(std::span<const float> x, float16* y);
void convert(std::span<const float16> x, float* y);
/// x[i] = float(float16(x[i])): the nearest number that f16 has, infinity from 65520 on.
void narrow_to_float16(std::span<float> x);
/// x[i] = float(bfloat16(x[i]))
void narrow_to_bfloat16(std::span<float> x);
/// Codes as numbers: exact, since |q| <= 256.
void convert(std::span<const std::uint8_t> x, bfloat16* y);
void convert(std::span<const std::uint8_t> x, float* y);
void convert(std::span<const std::int8_t> x, bfloat16* y);
void convert(std::span<const std::int8_t> x, float* y);

/// Whether any of `x` is NaN or infinite.
bool has_non_finite(std::span<const float> x);

/// y[c] = sum over r of x[r, c], for x [rows, columns]: in double, in row order within slices of rows, slices in order.
/// T is float or double.
template <typename T>
void sum_rows(const T* x, std::int64_t rows, std::int64_t columns, T* y);

}  // namespace detent::kernels
