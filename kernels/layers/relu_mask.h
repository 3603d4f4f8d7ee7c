#pragma once

#include <span>

#include "detent/core/dtype.h"

namespace detent::kernels {

/// dx[i] = y[i] > 0 ? dy[i] : 0: the gradient of a ReLU that was fused into a product whose result is `y`. From f32 or
/// bf16 to f32 or bf16 (rounded to nearest, ties to even), or f64. Vectorized, single-threaded: it is called a slice at
/// a time, where the gradient is needed next. `dx` may be `dy` where the types are equal.
void mask_relu(std::span<const double> y, const double* dy, double* dx);
void mask_relu(std::span<const float> y, const float* dy, float* dx);
void mask_relu(std::span<const float> y, const float* dy, bfloat16* dx);
void mask_relu(std::span<const float> y, const bfloat16* dy, float* dx);
void mask_relu(std::span<const float> y, const bfloat16* dy, bfloat16* dx);
void mask_relu(std::span<const bfloat16> y, const float* dy, float* dx);
void mask_relu(std::span<const bfloat16> y, const float* dy, bfloat16* dx);
void mask_relu(std::span<const bfloat16> y, const bfloat16* dy, float* dx);
void mask_relu(std::span<const bfloat16> y, const bfloat16* dy, bfloat16* dx);

}  // namespace detent::kernels
