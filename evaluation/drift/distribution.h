#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "detent/core/qparams.h"

/// How the values of one place in a model are spread, and how far two such spreads are apart.
namespace detent::evaluation {

/// Bin i holds the values in (bounds[i - 1], bounds[i]]: the first bin all up to bounds[0], the last one all above.
struct Distribution {
  std::vector<float> bounds = {};   ///< rising; of codes, codes
  std::vector<double> shares = {};  ///< of the values, one more than there are bounds; their sum is 1
  float mean = 0.0F;
  float deviation = 0.0F;  ///< sqrt(mean of squares - mean^2)
  double saturated = 0.0;  ///< of codes: the share of the smallest and the largest code, unless that is real 0

  bool operator==(const Distribution&) const = default;
};

/// Ten bins of about equal shares, and one on either side for what was never seen.
inline constexpr std::size_t kSharedBins = 10;
inline constexpr std::size_t kMostBounds = kSharedBins + 1;

/// How often each of some values occurred, in rising order.
struct Occurrence {
  float value = 0.0F;
  std::int64_t count = 0;
};

/// Bounds for values that lie as these do: at most kSharedBins bins of about the same share, where a value that fills a
/// bin alone has one of its own; a bound just below the smallest, and one at the largest, unless it is at an end of
/// `codes`. No values: none.
std::vector<float> bounds_for(std::span<const Occurrence> values, const CodeRange* codes = nullptr);

/// How often each code occurred.
using CodeCount = std::array<std::int64_t, 256>;
/// The distribution of codes of `map` over `bounds`, or bounds_for them where there are none yet.
Distribution distribution_of(const CodeCount& counts, const QParams& map, const std::vector<float>* bounds = nullptr);
/// That of real numbers, by a sample of them that has at least one; `range` is that of all.
Distribution distribution_of(std::vector<float> sample, MinMax range, const std::vector<float>* bounds = nullptr);

/// The population stability index: sum over bins of (q - p) ln(q / p), with p the shares of `reference`, q those of
/// `live`, and 0.0001 for smaller ones. 0: equal. REQUIRES: the same bounds.
double stability_index(const Distribution& reference, const Distribution& live);
/// The Kolmogorov-Smirnov statistic at the bounds: the largest difference of the two cumulative shares.
double kolmogorov_smirnov(const Distribution& reference, const Distribution& live);
/// (mean of live - mean of reference) / deviation of reference. Of a reference of one value 0, or an infinity.
double mean_shift(const Distribution& reference, const Distribution& live);
/// The share of `live` in bins that `reference` has nothing in.
double unseen_share(const Distribution& reference, const Distribution& live);

/// What the two statistics come to by chance alone about once in a thousand times, where n and m independent values are
/// drawn from one distribution over B bins that are not empty, and k = B - 1:
///   of the index (1 / n + 1 / m) chi2, the quantile of the chi-squared distribution of k degrees of freedom (Yurdakul
///   and Naranjo 2020), by Wilson and Hilferty (1931): k (1 - 2 / (9 k) + 3.0902 sqrt(2 / (9 k)))^3
///   of Kolmogorov-Smirnov sqrt(-ln(0.0005) / 2) sqrt(1 / n + 1 / m)
/// Values of one example are not independent, so for pixels and activations these are lower bounds.
struct Chance {
  double stability_index = 0.0;
  double kolmogorov_smirnov = 0.0;
};
Chance by_chance(const Distribution& reference, const Distribution& live, std::int64_t n, std::int64_t m);

}  // namespace detent::evaluation
