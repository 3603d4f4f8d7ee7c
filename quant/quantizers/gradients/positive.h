#pragma once

/// Positive numbers that are learned. Such a number p is kept as its natural logarithm, so that no step of an optimizer
/// makes it 0 or negative, and each moves it by a share of itself. The logarithm's gradient is taken as (dL/dp) / p:
/// gradient descent then moves p, to first order, as it would move p itself. It is held within [-1, 1], for where it is
/// not of first order its exponential would run away. (A scaled loss, precision "fp16", meets that bound sooner.)
namespace detent::quant {

/// p, within [2^-60, 2^60]; the same on every machine. Throws Error for a logarithm that is not finite.
float positive_of(float logarithm);
/// Of one below 2^-60 that of 2^-60. REQUIRES: positive is finite, not negative.
float logarithm_of(double positive);
/// (dL/dp) / p, within [-1, 1]; NaN stays NaN.
double logarithm_gradient(double gradient, float positive);

}  // namespace detent::quant
