#include <cmath>

#include "detent/quant/quantizers/gradients/positive.h"
#include "detent/quant/quantizers/gradients/rules.h"

namespace detent::quant {
namespace {

class Lsq : public GradientRule {
 public:
  std::size_t learned() const override { return 1; }

  float first_scale(ScaleZero of_range, double mean, CodeRange codes) const override {
    return static_cast<float>(2.0 * mean / std::sqrt(static_cast<double>(extent_of(of_range.zero_point, codes))));
  }

  std::vector<float> numbers_of(ScaleZero map, CodeRange) const override { return {logarithm_of(map.scale)}; }

  ScaleZero map_of(std::span<const float> numbers, std::int32_t zero_point, CodeRange) const override {
    return {positive_of(numbers[0]), zero_point};
  }

  std::vector<double> gradient(std::span<const float> numbers, std::int32_t zero_point, CodeRange codes,
                               const kernels::StepSums& sums, std::int64_t count) const override {
    const double ds = sums.inside + sums.above * (codes.qmax - zero_point) + sums.below * (codes.qmin - zero_point);
    const double share =
        1.0 / std::sqrt(static_cast<double>(extent_of(zero_point, codes)) * static_cast<double>(count));
    return {logarithm_gradient(ds * share, positive_of(numbers[0]))};
  }
};

}  // namespace

GradientRuleKind lsq_rule() {
  return {.name = "lsq", .example = "lsq", .make = [](std::span<const double>) -> std::unique_ptr<GradientRule> {
            return std::make_unique<Lsq>();
          }};
}

}  // namespace detent::quant
