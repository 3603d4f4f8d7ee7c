#include <algorithm>
#include <cmath>

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
  MinMax choose(const ValueHistogram& histogram) const override {
    constexpr int kShares = 128;
    const MinMax all = histogram.range(0, ValueHistogram::kBins - 1);
    MinMax best = all;
    double least = divergence(histogram, all);
    for (int k = kShares - 1; k > 0; --k) {
      const float share = static_cast<float>(k) / static_cast<float>(kShares);
      const MinMax range{all.min * share, all.max * share};
      if (const double next = divergence(histogram, range); next < least) {
        least = next;
        best = range;
      }
    }
    return best;
  }

  /// The bins that a range reaches into, and the code of each.
  struct Window {
    std::int64_t first, last;
    std::vector<std::size_t> codes;
  };
  Window window_of(const ValueHistogram& histogram, const MinMax& range) const {
    const ScaleZero map = target_.map_of(range);
    const Levels levels = Levels::of_map(map, target_.codes);
    Window window{ValueHistogram::kBins, -1, {}};
    for (std::int64_t bin = 0; bin < ValueHistogram::kBins; ++bin) {
      const double middle = histogram.lower_edge(bin) + 0.5 * histogram.bin_width();
      const double code = std::floor((middle - levels.lowest_edge) / levels.step);
      if (code >= 0.0 && code < static_cast<double>(levels.count)) {
        window.first = std::min(window.first, bin);
        window.last = bin;
        window.codes.push_back(static_cast<std::size_t>(code));
      }
    }
    return window;
  }

  /// sum P ln(P / Q); a bin that Q leaves empty counts as nearly empty.
  double divergence(const ValueHistogram& histogram, const MinMax& range) const {
    constexpr double kNearlyEmpty = 1e-4 / static_cast<double>(ValueHistogram::kBins);
    const Window window = window_of(histogram, range);
    if (window.codes.empty()) {
      return std::numeric_limits<double>::infinity();
    }
    struct Level {
      double values = 0.0;
      double bins = 0.0;
    };
    const auto counts = histogram.counts();
    const auto inside = counts.subspan(static_cast<std::size_t>(window.first), window.codes.size());
    std::vector<Level> levels(static_cast<std::size_t>(target_.codes.qmax - target_.codes.qmin + 1));
    double within = 0.0;
    for (std::size_t i = 0; i < inside.size(); ++i) {
      Level& level = levels[window.codes[i]];
      level.values += inside[i];
      level.bins += inside[i] > 0.0 ? 1.0 : 0.0;
      within += inside[i];
    }
    const auto sum_of = [](std::span<const double> bins) {
      double sum = 0.0;
      std::ranges::for_each(bins, [&](double count) { sum += count; });
      return sum;
    };
    const double below = sum_of(counts.first(static_cast<std::size_t>(window.first)));
    const double above = sum_of(counts.subspan(static_cast<std::size_t>(window.last + 1)));
    const double total = below + within + above;
    double divergence = 0.0;
    for (std::size_t i = 0; i < inside.size(); ++i) {
      const double beyond = (i == 0 ? below : 0.0) + (i + 1 == inside.size() ? above : 0.0);
      const double p = (inside[i] + beyond) / total;
      if (p > 0.0) {
        const Level& level = levels[window.codes[i]];
        const double q = inside[i] > 0.0 ? level.values / level.bins / within : 0.0;
        divergence += p * std::log(p / std::max(q, kNearlyEmpty));
      }
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
