#include <cmath>

#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {
namespace {

class FixedRule : public RangeRule {
 public:
  explicit FixedRule(const MinMax& range) : range_(range) {}
  MinMax initial() const override { return range_; }
  MinMax observe(const MinMax&, const MinMax&, std::int64_t) override { return range_; }

 private:
  MinMax range_;
};

}  // namespace

RangeRuleKind fixed_rule() {
  return {.name = "fixed",
          .example = "fixed 0 6",
          .numbers = 2,
          .required = 2,
          .make = [](std::span<const double> numbers, const RangeTarget&) {
            const MinMax range{static_cast<float>(numbers[0]), static_cast<float>(numbers[1])};
            check(std::isfinite(range.min) && std::isfinite(range.max) && range.min <= 0.0F && 0.0F <= range.max &&
                      range.min < range.max,
                  "expected finite ends with 0 between them, got ", range.min, " and ", range.max);
            return std::make_unique<FixedRule>(range);
          }};
}

}  // namespace detent::quant
