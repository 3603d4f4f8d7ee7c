#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "detent/core/dtype.h"
#include "detent/core/threads/parallel.h"

namespace detent::kernels {

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

/// y = max(0, a + b), likewise. T is float, double or bfloat16.
template <typename T>
void add_relu(std::int64_t elements, const T* a, const T* b, T* y);

/// The sum of all elements, in double: within slices, then over slices in order. T is float or double.
template <typename T>
double sum(std::int64_t elements, const T* x);

/// Whether any of `x` is NaN or infinite.
bool has_non_finite(std::span<const float> x);

/// y[c] = sum over r of x[r, c], for x [rows, columns]: in double, in row order within slices of rows, slices in order.
/// T is float or double.
template <typename T>
void sum_rows(const T* x, std::int64_t rows, std::int64_t columns, T* y);

}  // namespace detent::kernels
