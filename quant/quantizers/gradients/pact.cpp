#include <algorithm>
#include <cmath>

#include "detent/core/error.h"
#include "detent/quant/quantizers/gradients/positive.h"
#include "detent/quant/quantizers/gradients/rules.h"

namespace detent::quant {
namespace {

/// The number is the logarithm of alpha.
class Pact : public GradientRule {
 public:
  explicit Pact(double decay) : decay_(decay) {}
  std::size_t learned() const override { return 1; }

  std::vector<float> numbers_of(ScaleZero map, CodeRange codes) const override {
    return {logarithm_of(double{map.scale} * extent_of(map.zero_point, codes))};
  }

  ScaleZero map_of(std::span<const float> numbers, std::int32_t zero_point, CodeRange codes) const override {
    const float scale = positive_of(numbers[0]) / static_cast<float>(extent_of(zero_point, codes));
    return {std::max(scale, kSmallestScale), zero_point};
  }

  std::vector<double> gradient(std::span<const float> numbers, std::int32_t zero_point, CodeRange codes,
                               const kernels::StepSums& sums, std::int64_t) const override {
    const float alpha = positive_of(numbers[0]);
    const double ends = sums.at_top * (codes.qmax - zero_point) + sums.at_bottom * (codes.qmin - zero_point);
    return {logarithm_gradient(ends / extent_of(zero_point, codes) + decay_ * double{alpha}, alpha)};
  }

 private:
  static constexpr float kSmallestScale = 0x1p-60F;  // that a map may have

  double decay_;
};

}  // namespace

GradientRuleKind pact_rule() {
  return {.name = "pact",
          .numbers = 1,
          .of_weights = false,
          .example = "pact 0.0001",
          .make = [](std::span<const double> numbers) -> std::unique_ptr<GradientRule> {
            const double decay = numbers.empty() ? 0.0 : numbers[0];
            check(std::isfinite(decay) && decay >= 0.0, "expected a decay of at least 0, got ", decay);
            return std::make_unique<Pact>(decay);
          }};
}

}  // namespace detent::quant
