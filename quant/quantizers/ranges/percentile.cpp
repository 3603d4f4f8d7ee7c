#include "detent/quant/quantizers/ranges/histogram_based.h"
#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {
namespace {

class PercentileRule : public HistogramBased {
 public:
  explicit PercentileRule(double percentile) : share_(percentile / 100.0) {}

 private:
  MinMax choose(const ValueHistogram& histogram) const override {
    const std::span<const double> counts = histogram.counts();
    const double enough = share_ * histogram.total();
    std::size_t first = counts.size() - 1;
    std::size_t last = 0;
    // The first bin from below, and from above, with which enough values lie on the way.
    for (double below = counts[0]; below < enough && last + 1 < counts.size(); below += counts[++last]) {
    }
    for (double above = counts[first]; above < enough && first > 0; above += counts[--first]) {
    }
    return histogram.range(static_cast<std::int64_t>(first), static_cast<std::int64_t>(last));
  }

  double share_;
};

}  // namespace

RangeRuleKind percentile_rule() {
  return {.name = "percentile",
          .example = "percentile 99.9",
          .numbers = 1,
          .required = 1,
          .make = [](std::span<const double> numbers, const RangeTarget&) {
            check(numbers[0] > 50.0 && numbers[0] <= 100.0, "expected a number above 50 and at most 100, got ",
                  numbers[0]);
            return std::make_unique<PercentileRule>(numbers[0]);
          }};
}

}  // namespace detent::quant
