#include <algorithm>
#include <cmath>

#include "detent/kernels/codes/quantize.h"
#include "detent/quant/quantizers/ranges/histogram_based.h"
#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {
namespace {

/// Both ends are drawn in by the same share. P: the histogram, with all that lies beyond the range in the bins at its
/// ends. Q: what lies within it, each code's values spread evenly over those of its bins that are not empty.
class KlRule : public HistogramBased {
 public:
  explicit KlRule(const RangeTarget& target) : target_(target) {}

 private:
  /// Sums over the bins before each.
  struct Sums {
    std::vector<double> values{0.0};   ///< how many values
    std::vector<double> bins{0.0};     ///< how many bins that are not empty
    std::vector<double> entropy{0.0};  ///< p ln p, p = count / total
    double total;
    explicit Sums(const ValueHistogram& histogram) : total(histogram.total()) {
      for (const double count : histogram.counts()) {
        values.push_back(values.back() + count);
        bins.push_back(bins.back() + (count > 0.0 ? 1.0 : 0.0));
        entropy.push_back(entropy.back() + p_log_p(count / total));
      }
    }
  };
  static double p_log_p(double p) { return p > 0.0 ? p * std::log(p) : 0.0; }

  MinMax choose(const ValueHistogram& histogram) const override {
    constexpr int kShares = 128;
    constexpr int kStride = 8;  // of the first look; then all shares beside the best
    const Sums sums(histogram);
    const MinMax all = histogram.range(0, ValueHistogram::kBins - 1);
    const auto range_of_share = [&](int k) {
      const float share = static_cast<float>(k) / static_cast<float>(kShares);
      return MinMax{all.min * share, all.max * share};
    };
    int best = kShares;
    double least = divergence(histogram, sums, all);
    const auto look_at = [&](int k) {
      if (const double next = divergence(histogram, sums, range_of_share(k)); next < least) {
        least = next;
        best = k;
      }
    };
    for (int k = kShares - kStride; k > 0; k -= kStride) {
      look_at(k);
    }
    const int middle = best;
    for (int k = std::min(middle + kStride - 1, kShares - 1); k > std::max(middle - kStride, 0); --k) {
      look_at(k);
    }
    return range_of_share(best);
  }

  /// For each code its first bin, and at last the bin behind those of the last code: a bin belongs to the code of its
  /// middle.
  std::vector<std::size_t> first_bins(const ValueHistogram& histogram, const MinMax& range) const {
    const ScaleZero map = target_.map_of(range);
    const Levels levels = Levels::of_map(map, target_.codes);
    std::vector<std::size_t> first;
    for (std::int64_t level = 0; level <= levels.count; ++level) {
      const double edge = levels.lowest_edge + static_cast<double>(level) * levels.step;
      const double bin = histogram.bin_width() == 0.0
                             ? (edge <= histogram.lower_edge(0) ? 0.0 : 1.0)
                             : std::ceil((edge - histogram.lower_edge(0)) / histogram.bin_width() - 0.5);
      first.push_back(static_cast<std::size_t>(std::clamp(bin, 0.0, static_cast<double>(ValueHistogram::kBins))));
    }
    return first;
  }

  /// sum P ln(P / Q); a bin that Q leaves empty counts as nearly empty. Within a code Q is one number for all bins that
  /// are not empty, so that sums over its bins say all; but the bins at the ends have P of what lies beyond besides.
  double divergence(const ValueHistogram& histogram, const Sums& sums, const MinMax& range) const {
    constexpr double kNearlyEmpty = 1e-4 / static_cast<double>(ValueHistogram::kBins);
    const std::vector<std::size_t> first = first_bins(histogram, range);
    const std::size_t begin = first.front();
    const std::size_t end = first.back();
    if (begin == end) {
      return std::numeric_limits<double>::infinity();
    }
    const double within = sums.values[end] - sums.values[begin];
    double divergence = sums.entropy[end] - sums.entropy[begin];
    double q_of_first = 0.0;
    double q_of_last = 0.0;
    for (std::size_t code = 0; code + 1 < first.size(); ++code) {
      const double values = sums.values[first[code + 1]] - sums.values[first[code]];
      const double bins = sums.bins[first[code + 1]] - sums.bins[first[code]];
      const double q = values > 0.0 ? std::max(values / bins / within, kNearlyEmpty) : kNearlyEmpty;
      divergence -= values > 0.0 ? values / sums.total * std::log(q) : 0.0;
      q_of_first = first[code] <= begin && begin < first[code + 1] ? q : q_of_first;
      q_of_last = first[code] < end && end <= first[code + 1] ? q : q_of_last;
    }
    const auto add_beyond = [&](std::size_t bin, double beyond, double q) {
      const double count = histogram.counts()[bin];
      divergence += p_log_p((count + beyond) / sums.total) - p_log_p(count / sums.total) -
                    beyond / sums.total * std::log(count > 0.0 ? q : kNearlyEmpty);
    };
    const double below = sums.values[begin];
    const double above = sums.values.back() - sums.values[end];
    if (end - begin == 1) {
      add_beyond(begin, below + above, q_of_first);
    } else {
      add_beyond(begin, below, q_of_first);
      add_beyond(end - 1, above, q_of_last);
    }
    return divergence;
  }

  RangeTarget target_;
};

}  // namespace

RangeRuleKind kl_rule() {
  return {.name = "kl", .example = "kl", .make = [](auto, const RangeTarget& target) {
            return std::make_unique<KlRule>(target);
          }};
}

}  // namespace detent::quant
