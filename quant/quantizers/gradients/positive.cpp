#include "detent/quant/quantizers/gradients/positive.h"

#include <algorithm>
#include <cmath>

#include "detent/core/error.h"
#include "detent/quant/quantizers/gradients/exponential.h"

namespace detent::quant {
namespace {

constexpr double kLargestLogarithm = 42.0;  // more than 60 ln 2
constexpr float kSmallest = 0x1p-60F, kLargest = 0x1p60F;
constexpr double kLargestGradient = 1.0;

}  // namespace

float positive_of(float logarithm) {
  check(std::isfinite(logarithm), "a learned scale: expected a finite logarithm, got ", logarithm,
        "; training has diverged");
  const double positive = exponential(std::clamp(double{logarithm}, -kLargestLogarithm, kLargestLogarithm));
  return std::clamp(static_cast<float>(positive), kSmallest, kLargest);
}

float logarithm_of(double positive) { return static_cast<float>(std::log(std::max(positive, double{kSmallest}))); }

double logarithm_gradient(double gradient, float positive) {
  return std::clamp(gradient / double{positive}, -kLargestGradient, kLargestGradient);
}

}  // namespace detent::quant
