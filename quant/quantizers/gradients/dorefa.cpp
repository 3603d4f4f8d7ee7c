#include <algorithm>
#include <cmath>

#include "detent/quant/quantizers/gradients/exponential.h"
#include "detent/quant/quantizers/gradients/rules.h"

namespace detent::quant {
namespace {

class DoReFa : public GradientRule {
 public:
  RangeSpec activation_range() const override { return {"fixed", {0.0, 1.0}}; }

  bool changes_weights() const override { return true; }

  void change(std::span<const float> w, std::span<float> changed) const override {
    const double largest = largest_tanh(w);
    std::ranges::transform(w, changed.begin(),
                           [largest](float x) { return static_cast<float>(hyperbolic_tangent(double{x}) / largest); });
  }

  // dL/dw = dL/d(changed) * (1 - tanh(w)^2) / max|tanh(w)|
  void through_change(std::span<const float> w, std::span<float> dw) const override {
    const double largest = largest_tanh(w);
    for (std::size_t i = 0; i < w.size(); ++i) {
      const double t = hyperbolic_tangent(double{w[i]});
      dw[i] = static_cast<float>(double{dw[i]} * (1.0 - t * t) / largest);
    }
  }

 private:
  /// tanh of the largest magnitude of finite weights; 1 where all are 0, which stay 0.
  static double largest_tanh(std::span<const float> w) {
    float largest = 0.0F;
    for (const float x : w) {
      largest = std::isfinite(x) ? std::max(largest, std::abs(x)) : largest;
    }
    return largest > 0.0F ? hyperbolic_tangent(double{largest}) : 1.0;
  }
};

}  // namespace

GradientRuleKind dorefa_rule() {
  return {.name = "dorefa", .example = "dorefa", .make = [](std::span<const double>) -> std::unique_ptr<GradientRule> {
            return std::make_unique<DoReFa>();
          }};
}

}  // namespace detent::quant
