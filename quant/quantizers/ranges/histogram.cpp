#include <algorithm>
#include <cmath>

#include "detent/quant/quantizers/ranges/histogram_based.h"
#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {
namespace {

/// Levels lie in the middles of equal parts of the range. The ends move in as those of PyTorch's HistogramObserver do,
/// by 1e-5 of the values (or one value) at the end that skips more bins by it; but to the end of the way, since on it
/// the error goes up and down.
class HistogramRule : public HistogramBased {
 public:
  explicit HistogramRule(CodeRange codes) : levels_(codes.qmax - codes.qmin + 1) {}

 private:
  struct Ends {
    std::int64_t first, last;
    double error;
  };

  MinMax choose(const ValueHistogram& histogram) const override {
    constexpr double kStep = 1e-5;
    constexpr std::int64_t kBinsPerTrial = 32;
    const auto error = [&, occupied = histogram.occupied()](std::int64_t first, std::int64_t last) {
      const double part = histogram.bin_width() * static_cast<double>(last - first + 1) / static_cast<double>(levels_);
      return histogram.squared_error(occupied, {histogram.lower_edge(first), part, levels_});
    };
    const std::vector<double> sums = cumulative(histogram);
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
      if (left == first && right == last) {
        // As many steps at once as neither end moves by.
        const double steps = std::min(up_to(left) - below, total - (right > 0 ? up_to(right - 1) : 0.0) - above) / step;
        const double skipped = std::max(0.0, std::floor(steps) - 1.0) * step;
        below += skipped;
        above += skipped;
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
    return histogram.range(best.first, best.last);
  }

  /// Values up to the upper edge of each bin.
  static std::vector<double> cumulative(const ValueHistogram& histogram) {
    std::vector<double> sums;
    double sum = 0.0;
    for (const double count : histogram.counts()) {
      sums.push_back(sum += count);
    }
    return sums;
  }

  std::int64_t levels_;
};

}  // namespace

RangeRuleKind histogram_rule() {
  return {.name = "histogram", .example = "histogram", .make = [](auto, const RangeTarget& target) {
            return std::make_unique<HistogramRule>(target.codes);
          }};
}

}  // namespace detent::quant
