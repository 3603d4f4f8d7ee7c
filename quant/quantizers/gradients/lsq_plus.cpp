#include <cmath>

#include "detent/kernels/codes/quantize.h"
#include "detent/quant/quantizers/gradients/positive.h"
#include "detent/quant/quantizers/gradients/rules.h"

namespace detent::quant {
namespace {

/// The numbers are the logarithm of the step, and the offset.
class LsqPlus : public GradientRule {
 public:
  std::size_t learned() const override { return 2; }

  std::vector<float> numbers_of(ScaleZero map, CodeRange codes) const override {
    return {logarithm_of(map.scale), dequantize(codes.qmin, map)};
  }

  ScaleZero map_of(std::span<const float> numbers, std::int32_t, CodeRange codes) const override {
    check(std::isfinite(numbers[1]), "a learned offset: expected a finite number, got ", numbers[1],
          "; training has diverged");
    return qparams_of_scale(numbers[1], positive_of(numbers[0]), codes, Scheme::Affine);
  }

  std::vector<double> gradient(std::span<const float> numbers, std::int32_t, CodeRange codes,
                               const kernels::StepSums& sums, std::int64_t count) const override {
    const ScaleZero map = map_of(numbers, 0, codes);
    const double share =
        1.0 / std::sqrt(static_cast<double>(extent_of(map.zero_point, codes)) * static_cast<double>(count));
    const double ds = sums.inside + sums.above * (codes.qmax - codes.qmin);
    return {logarithm_gradient(ds * share, map.scale), (sums.above + sums.below) * share};
  }
};

}  // namespace

GradientRuleKind lsq_plus_rule() {
  return {.name = "lsq-plus",
          .of_weights = false,
          .example = "lsq-plus",
          .make = [](std::span<const double>) -> std::unique_ptr<GradientRule> { return std::make_unique<LsqPlus>(); }};
}

}  // namespace detent::quant
