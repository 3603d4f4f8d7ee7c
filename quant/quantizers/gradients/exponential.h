#pragma once

/// Functions that are the same on every machine: sums, products and quotients of doubles alone.
namespace detent::quant {

/// exp(x). REQUIRES: |x| <= 700.
double exponential(double x);
double hyperbolic_tangent(double x);

}  // namespace detent::quant
