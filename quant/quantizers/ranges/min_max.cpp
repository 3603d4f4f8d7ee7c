#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {
namespace {

class MinMaxRule : public RangeRule {
 public:
  MinMax observe(const MinMax& range, const MinMax& batch, std::int64_t) override {
    MinMax joined = range;
    joined.include(batch);
    return joined;
  }
  bool may_widen() const override { return true; }
};

}  // namespace

RangeRuleKind min_max_rule() {
  return {.name = std::string(kMinMaxRule), .example = std::string(kMinMaxRule), .make = [](auto, const RangeTarget&) {
            return std::make_unique<MinMaxRule>();
          }};
}

}  // namespace detent::quant
