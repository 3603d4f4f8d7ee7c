#include <algorithm>
#include <cmath>

#include "detent/quant/quantizers/rules.h"
#include "detent/quant/quantizers/value_histogram.h"

namespace detent::quant {
namespace {

/// The error of rounding is e^2 over a stretch of reals [begin, end] around its level: density * (end^3 - begin^3) / 3.
double squared_error(double begin, double end) { return (end * end * end - begin * begin * begin) / 3.0; }

/// Values of a bin lie evenly in it. The ends move in as those of PyTorch's HistogramObserver do, by 1e-5 of the values
/// (or one value) at the end that skips more bins by it; but to the end of the way, since on it the error goes up and
/// down.
class HistogramRule : public RangeRule {
 public:
  explicit HistogramRule(CodeRange codes) : levels_(static_cast<double>(codes.qmax - codes.qmin + 1)) {}

  RangeNeeds needs() const override { return RangeNeeds::Values; }
  void begin(const MinMax& batch) override { histogram_.include(batch); }
  std::vector<double> collect(std::span<const float> values) const override { return histogram_.count(values); }
  void merge(std::span<const double> counts) override { histogram_.add(counts); }

  MinMax observe(const MinMax&, const MinMax&, std::int64_t) override {
    constexpr double kStep = 1e-5;
    constexpr std::int64_t kBinsPerTrial = 16;
    find_occupied();
    const std::vector<double> sums = cumulative();
    const double total = sums.back();
    const double step = std::max(1.0, kStep * total);
    const auto up_to = [&](std::int64_t bin) { return sums[static_cast<std::size_t>(bin)]; };
    std::int64_t first = 0;
    std::int64_t last = ValueHistogram::kBins - 1;
    std::int64_t tried = ValueHistogram::kBins;
    Ends best{first, last, error(first, last)};
    for (double below = 0.0, above = 0.0; below + above < total;) {  // values that are left out at most
      std::int64_t left = first;
      std::int64_t right = last;
      while (left < last && up_to(left) <= below + step) {
        ++left;
      }
      while (right > first && total - up_to(right - 1) <= above + step) {
        --right;
      }
      const bool moves_left = left - first > last - right;
      const bool moves_none = left == first && right == last;
      below += moves_left || moves_none ? step : 0.0;
      above += moves_left ? 0.0 : step;
      (moves_left ? first : last) = moves_left ? left : right;
      if (last - first + 1 <= tried - kBinsPerTrial) {
        tried = last - first + 1;
        const double next = error(first, last);
        best = next < best.error ? Ends{first, last, next} : best;
      }
    }
    return histogram_.range(best.first, best.last);
  }

  std::vector<nn::Slot> slots() override { return histogram_.slots(); }
  void check_loaded() const override { histogram_.check_loaded(); }

 private:
  struct Ends {
    std::int64_t first, last;
    double error;
  };

  /// A channel's weights are few: most bins are empty.
  struct Bin {
    double number, count;
  };
  void find_occupied() {
    occupied_.clear();
    for (std::size_t bin = 0; bin < histogram_.counts().size(); ++bin) {
      if (const double count = histogram_.counts()[bin]; count != 0.0) {
        occupied_.push_back({static_cast<double>(bin), count});
      }
    }
  }

  /// Values up to the upper edge of each bin.
  std::vector<double> cumulative() const {
    std::vector<double> sums;
    double sum = 0.0;
    for (const double count : histogram_.counts()) {
      sums.push_back(sum += count);
    }
    return sums;
  }

  /// The sum of squared errors with levels in the middles of equal parts of the bins `first` to `last`.
  double error(std::int64_t first, std::int64_t last) const {
    const double width = histogram_.bin_width();
    if (width == 0.0) {
      return 0.0;
    }
    const double part = width * static_cast<double>(last - first + 1) / levels_;
    const auto level_of = [&](double x) { return std::clamp(std::floor(x / part), 0.0, levels_ - 1.0); };
    double sum = 0.0;
    for (const Bin& bin : occupied_) {
      const double begin = (bin.number - static_cast<double>(first)) * width;
      const double end = begin + width;
      const double level = level_of(begin);
      const double end_level = level_of(end);
      const double from = begin - (level + 0.5) * part;
      const double to = end - (end_level + 0.5) * part;
      const double whole = squared_error(-part / 2.0, part / 2.0);
      const double error = level == end_level ? squared_error(from, to)
                                              : squared_error(from, part / 2.0) + (end_level - level - 1.0) * whole +
                                                    squared_error(-part / 2.0, to);
      sum += bin.count / width * error;
    }
    return sum;
  }

  double levels_;
  ValueHistogram histogram_;
  std::vector<Bin> occupied_;  // of the histogram
};

}  // namespace

RangeRuleKind histogram_rule() {
  return {.name = "histogram", .example = "histogram", .make = [](auto, const RangeTarget& target) {
            return std::make_unique<HistogramRule>(target.codes);
          }};
}

}  // namespace detent::quant
