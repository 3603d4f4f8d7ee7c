#pragma once

#include "detent/quant/quantizers/ranges/range_rule.h"
#include "detent/quant/quantizers/ranges/value_histogram.h"

namespace detent::quant {

/// A rule that looks at how often values occurred so far, in batches of whatever order.
class HistogramBased : public RangeRule {
 public:
  RangeNeeds needs() const final { return RangeNeeds::Values; }
  bool may_sample() const final { return true; }
  bool may_wait() const final { return true; }
  void begin(const MinMax& batch) final { histogram_.include(batch); }
  std::vector<double> collect(std::span<const float> values) const final { return histogram_.count(values); }
  void merge(std::span<const double> counts) final { histogram_.add(counts); }
  MinMax observe(const MinMax&, const MinMax&, std::int64_t) final { return choose(histogram_); }

  std::vector<nn::Slot> slots() final { return histogram_.slots(); }
  void check_loaded() const final { histogram_.check_loaded(); }

 protected:
  /// The range, of a histogram that is not empty.
  virtual MinMax choose(const ValueHistogram& histogram) const = 0;

 private:
  ValueHistogram histogram_;
};

}  // namespace detent::quant
