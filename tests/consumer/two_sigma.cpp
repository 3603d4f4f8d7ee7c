// A range rule of one's own: of each batch the mean and 2 standard deviations on both sides, the largest so far.
#include <algorithm>
#include <cmath>

#include "detent/quant/quantizers/ranges/range_rule.h"
#include "parts.h"

namespace consumer {

using namespace detent;

namespace {

class TwoSigma : public quant::RangeRule {
 public:
  quant::RangeNeeds needs() const override { return quant::RangeNeeds::Values; }
  void begin(const MinMax&) override { count_ = sum_ = squares_ = 0.0; }
  std::vector<double> collect(std::span<const float> values) const override {
    double count = 0.0, sum = 0.0, squares = 0.0;
    for (const float value : values) {
      if (std::isfinite(value)) {
        count += 1.0;
        sum += double{value};
        squares += double{value} * double{value};
      }
    }
    return {count, sum, squares};
  }
  void merge(std::span<const double> collected) override {
    count_ += collected[0];
    sum_ += collected[1];
    squares_ += collected[2];
  }
  MinMax observe(const MinMax& range, const MinMax& batch, std::int64_t) override {
    const double mean = sum_ / count_;
    const double reach = 2.0 * std::sqrt(std::max(0.0, squares_ / count_ - mean * mean));
    MinMax wider = range;
    wider.include(
        {std::max(batch.min, static_cast<float>(mean - reach)), std::min(batch.max, static_cast<float>(mean + reach))});
    return wider;
  }

 private:
  double count_ = 0.0, sum_ = 0.0, squares_ = 0.0;
};

}  // namespace

void add_two_sigma() {
  quant::register_range_rule(
      {.name = "two-sigma", .example = "two-sigma", .make = [](std::span<const double>, const quant::RangeTarget&) {
         return std::make_unique<TwoSigma>();
       }});
}

}  // namespace consumer
