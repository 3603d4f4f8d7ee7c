#pragma once

#include <span>

#include "detent/core/qparams.h"

/// Codes whose map is chosen as they are made, of the very numbers that become codes: dynamic quantization.
namespace detent::kernels {

/// The map of the numbers `x`, which are one example's: choose_qparams, affine, of their smallest and largest finite
/// value. Where none is finite, or all are 0, the scale is 2^-60 and the zero point `codes.qmin`: all codes of numbers
/// that are no infinity are then qmin, which means 0. As everywhere, NaN gets the code qmin, and infinities saturate:
/// they become the smallest and the largest value of the others, or 0.
///
/// With 8 bits this is ONNX DynamicQuantizeLinear, but for what that leaves open: rows without a range, for which it
/// has the scale 0, numbers that are not finite, and ranges wider than the largest f32.
ScaleZero dynamic_map(std::span<const float> x, CodeRange codes);

/// dynamic_map, and the codes q[i] = quantize(x[i]) on it. Single-threaded, vectorized.
ScaleZero quantize_dynamic(std::span<const float> x, CodeRange codes, std::uint8_t* q);

}  // namespace detent::kernels
