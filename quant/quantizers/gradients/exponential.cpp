#include "detent/quant/quantizers/gradients/exponential.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace detent::quant {

double exponential(double x) {
  // 2^k * exp(r), r from 0 to ln 2, of which the series is taken as far as double sees it.
  const double k = std::floor(x * std::numbers::log2e);
  const double r = x - k * std::numbers::ln2;
  double series = 1.0;
  for (int n = 20; n >= 1; --n) {
    series = 1.0 + r * series / n;
  }
  return std::ldexp(series, static_cast<int>(k));
}

double hyperbolic_tangent(double x) {
  constexpr double kSmall = 1e-4;  // below, the quotient loses digits, and x^5 is no more than double sees
  constexpr double kLargest = 20.0;
  if (std::abs(x) < kSmall) {
    return x - x * x * x / 3.0;
  }
  const double e = exponential(-2.0 * std::min(std::abs(x), kLargest));
  return std::copysign((1.0 - e) / (1.0 + e), x);
}

}  // namespace detent::quant
