#pragma once

#include <cstdint>
#include <span>

#include "detent/core/qparams.h"
#include "detent/kernels/codes/quantize.h"

namespace detent::kernels {

/// What the gradient of a map needs of the values that it quantized: sums over values x, of g the gradient of the
/// number that x's code stands for. With t = x / scale the code before clamping is rne(t) + zero_point. NaN counts
/// nowhere.
struct StepSums {
  double inside = 0.0;     ///< g * (rne(t) - t), where that code lies in [qmin, qmax]
  double above = 0.0;      ///< g, where it is more than qmax
  double below = 0.0;      ///< g, where it is less than qmin
  double at_top = 0.0;     ///< g, where x is at least what qmax stands for
  double at_bottom = 0.0;  ///< g, where x is at most what qmin stands for

  void include(const StepSums& other) {
    inside += other.inside;
    above += other.above;
    below += other.below;
    at_top += other.at_top;
    at_bottom += other.at_bottom;
  }
  StepSums divided_by(double divisor) const {
    return {inside / divisor, above / divisor, below / divisor, at_top / divisor, at_bottom / divisor};
  }
};

/// `g` and `x` are of one size. Terms and sums of 16 of them are f32, all else f64, in an order that depends on the
/// size alone. Single-threaded, vectorized.
StepSums step_sums(std::span<const float> g, std::span<const float> x, ScaleZero map, CodeRange codes);

/// The same of what requantize makes codes of: `rows` rows of O integer sums, whose t = (float(acc) + bias) * M[o],
/// with ReLU at least 0, is the very number that was rounded. G is float or bfloat16. REQUIRES: weights without groups.
template <typename G>
StepSums step_sums(const G* g, const std::int32_t* acc, std::int64_t rows, const Requantization& r);

}  // namespace detent::kernels
