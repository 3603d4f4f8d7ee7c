#include <cmath>

#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {
namespace {

bool is_zero(const MinMax& range) { return range.min == 0.0F && range.max == 0.0F; }

class MovingAverageRule : public RangeRule {
 public:
  explicit MovingAverageRule(float constant) : constant_(constant) {}

  MinMax observe(const MinMax& range, const MinMax& batch, std::int64_t examples) override {
    std::int32_t& seen = examples_.data<std::int32_t>()[0];
    MinMax window{min_.data<float>()[0], max_.data<float>()[0]};
    MinMax moved = range;
    const bool is_first_window = seen > 0 && window.empty();
    const bool is_full = seen + examples >= kWindowExamples;
    if (range.empty() || is_zero(range) || is_first_window) {
      moved.include(batch);
    } else {
      window.include(batch);
      if (is_full && !is_zero(window)) {
        moved.min += constant_ * (window.min - moved.min);
        moved.max += constant_ * (window.max - moved.max);
      }
      window = is_full ? MinMax{} : window;
    }
    min_.data<float>()[0] = window.min;
    max_.data<float>()[0] = window.max;
    seen = is_full ? 0 : static_cast<std::int32_t>(seen + examples);
    return moved;
  }

  bool may_widen() const override { return true; }

  // Files that were written before there were windows lack them: their batches were windows of their own.
  std::vector<nn::Slot> slots() override {
    const Shape one{1};
    return {{"window_min", &min_, nullptr, one},
            {"window_max", &max_, nullptr, one},
            {"window_examples", &examples_, nullptr, one, DType::S32}};
  }

  void check_loaded() const override {
    const std::int32_t examples = examples_.data<std::int32_t>()[0];
    check(examples >= 0 && examples < kWindowExamples, "window_examples: expected 0 to ", kWindowExamples - 1, ", got ",
          examples);
    for (const Tensor* const extreme : {&min_, &max_}) {
      const float value = extreme->data<float>()[0];
      check(std::isfinite(value), "window: expected a range of finite numbers, got ", value);
    }
  }

 private:
  float constant_;
  // The window that is not full yet: its extremes, empty in the first window, and its examples.
  Tensor min_ = Tensor::full({1}, DType::F32, static_cast<double>(MinMax{}.min));
  Tensor max_ = Tensor::full({1}, DType::F32, static_cast<double>(MinMax{}.max));
  Tensor examples_ = Tensor::zeros({1}, DType::S32);
};

}  // namespace

RangeRuleKind moving_average_rule() {
  return {.name = std::string(kMovingAverageRule),
          .example = std::string(kMovingAverageRule) + " 0.01",
          .numbers = 1,
          .make = [](std::span<const double> numbers, const RangeTarget&) {
            const auto constant = static_cast<float>(numbers.empty() ? kMovingAverageConstant : numbers[0]);
            check(constant > 0.0F && constant <= 1.0F, "expected a constant in (0, 1], got ", constant);
            return std::make_unique<MovingAverageRule>(constant);
          }};
}

}  // namespace detent::quant
