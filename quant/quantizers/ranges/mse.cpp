#include "detent/quant/quantizers/ranges/histogram_based.h"
#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {
namespace {

/// Both ends are drawn in by the same share, and then each alone, as long as that makes the error smaller.
class MseRule : public HistogramBased {
 public:
  explicit MseRule(const RangeTarget& target) : target_(target) {}

 private:
  struct Found {
    MinMax range;
    double error;
  };

  MinMax choose(const ValueHistogram& histogram) const override {
    constexpr int kShares = 64;
    constexpr int kRounds = 2;
    const std::vector<ValueHistogram::Bin> occupied = histogram.occupied();
    const MinMax all = histogram.range(0, ValueHistogram::kBins - 1);
    Found best{all, error(histogram, occupied, all)};
    const auto try_range = [&](float min, float max) {
      const double next = error(histogram, occupied, {min, max});
      best = next < best.error ? Found{{min, max}, next} : best;
    };
    const auto share = [](float end, int k) { return end * (static_cast<float>(k) / static_cast<float>(kShares)); };
    for (int k = kShares - 1; k > 0; --k) {
      try_range(share(all.min, k), share(all.max, k));
    }
    const bool has_two_ends = target_.scheme == Scheme::Affine && all.min < 0.0F && all.max > 0.0F;
    for (int round = 0; round < kRounds && has_two_ends; ++round) {
      for (int k = 1; k <= kShares; ++k) {
        try_range(share(all.min, k), best.range.max);
      }
      for (int k = 1; k <= kShares; ++k) {
        try_range(best.range.min, share(all.max, k));
      }
    }
    return best.range;
  }

  /// With the map that such a range gets.
  double error(const ValueHistogram& histogram, std::span<const ValueHistogram::Bin> occupied,
               const MinMax& range) const {
    const ScaleZero map = target_.map_of(range);
    return histogram.squared_error(occupied, Levels::of_map(map, target_.codes));
  }

  RangeTarget target_;
};

}  // namespace

RangeRuleKind mse_rule() {
  return {.name = "mse", .example = "mse", .make = [](auto, const RangeTarget& target) {
            return std::make_unique<MseRule>(target);
          }};
}

}  // namespace detent::quant
