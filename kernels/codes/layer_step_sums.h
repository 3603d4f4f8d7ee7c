#pragma once

#include "detent/kernels/codes/step_sums.h"

/// StepSums as the backward passes of layers take them: with the gradient that passes, and of sums of 8 bits.
namespace detent::kernels {

/// step_sums, and g becomes the gradient of x: 0 where the code before clamping does not lie in [qmin, qmax].
StepSums step_sums_and_pass(std::span<float> g, std::span<const float> x, ScaleZero map, CodeRange codes);

/// step_sums of integer sums that were narrowed to 8 bits (narrow_sums in batch_sums.h): acc = center[o] + step[o] *
/// narrow. What is learned of it is as exact as `narrow_error` is small.
template <typename G>
StepSums step_sums(const G* g, const std::int8_t* narrow, std::int64_t rows, const Requantization& r,
                   const float* center, const float* step);
/// By how much t is wrong at most, in steps of the codes: the largest step[o] * M[o] / 2.
float narrow_error(const Requantization& r, std::span<const float> step);

}  // namespace detent::kernels
