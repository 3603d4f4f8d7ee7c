#include "detent/evaluation/drift/distribution.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace detent::evaluation {
namespace {

constexpr double kSmallestShare = 1e-4;

/// Cuts values into bins of equal shares, from the smallest up.
class EqualBins {
 public:
  explicit EqualBins(std::int64_t total) : remaining_(total) {}

  void add(const Occurrence& value) {
    if (gathered_ > 0 && fills_a_bin(value.count)) {
      close();
    }
    gathered_ += value.count;
    last_ = value.value;
    if (fills_a_bin(gathered_)) {
      close();
    }
  }
  const std::vector<float>& bounds() const { return bounds_; }

 private:
  bool fills_a_bin(std::int64_t count) const { return bins_ > 1 && count * bins_ >= remaining_; }
  void close() {
    bounds_.push_back(last_);
    remaining_ -= gathered_;
    gathered_ = 0;
    --bins_;
  }

  std::int64_t remaining_;
  std::int64_t bins_ = kSharedBins;
  std::int64_t gathered_ = 0;
  float last_ = 0.0F;
  std::vector<float> bounds_ = {};
};

std::size_t bin_of(const std::vector<float>& bounds, float value) {
  return static_cast<std::size_t>(std::ranges::lower_bound(bounds, value) - bounds.begin());
}

void fill_shares(Distribution& result, std::span<const Occurrence> values) {
  std::vector<std::int64_t> counts(result.bounds.size() + 1);
  std::int64_t total = 0;
  for (const Occurrence& value : values) {
    counts[bin_of(result.bounds, value.value)] += value.count;
    total += value.count;
  }
  for (const std::int64_t count : counts) {
    result.shares.push_back(total == 0 ? 0.0 : static_cast<double>(count) / static_cast<double>(total));
  }
}

/// What one in a thousand values of a chi-squared distribution of `freedom` degrees lies above, nearly.
double rare_chi_squared(std::int64_t freedom) {
  if (freedom < 1) {
    return 0.0;
  }
  const auto k = static_cast<double>(freedom);
  const double root = 1.0 - 2.0 / (9.0 * k) + 3.0902 * std::sqrt(2.0 / (9.0 * k));
  return k * root * root * root;
}

float just_below(float value, bool is_code) {
  return is_code ? value - 1.0F : std::nextafter(value, -std::numeric_limits<float>::infinity());
}

}  // namespace

std::vector<float> bounds_for(std::span<const Occurrence> values, const CodeRange* codes) {
  if (values.empty()) {
    return {};
  }
  std::int64_t total = 0;
  for (const Occurrence& value : values) {
    total += value.count;
  }
  const float smallest = values.front().value, largest = values.back().value;
  std::vector<float> bounds;
  const float below = just_below(smallest, codes != nullptr);
  if (codes == nullptr ? std::isfinite(below) : smallest > static_cast<float>(codes->qmin)) {
    bounds.push_back(below);
  }
  EqualBins bins(total);
  for (const Occurrence& value : values) {
    bins.add(value);
  }
  bounds.insert(bounds.end(), bins.bounds().begin(), bins.bounds().end());
  const bool is_at_end = codes != nullptr && largest == static_cast<float>(codes->qmax);
  if (is_at_end && !bounds.empty() && bounds.back() == largest) {
    bounds.pop_back();
  }
  if (!is_at_end && (bounds.empty() || bounds.back() < largest)) {
    bounds.push_back(largest);
  }
  assert(bounds.size() <= kMostBounds);
  return bounds;
}

Distribution distribution_of(const CodeCount& counts, const QParams& map, const std::vector<float>* bounds) {
  std::vector<Occurrence> values;
  std::int64_t total = 0, sum = 0, squares = 0;
  for (std::size_t code = 0; code < counts.size(); ++code) {
    if (counts[code] > 0) {
      const auto value = static_cast<std::int64_t>(code);
      values.push_back({static_cast<float>(value), counts[code]});
      total += counts[code];
      sum += value * counts[code];
      squares += value * value * counts[code];
    }
  }
  Distribution result{.bounds = bounds != nullptr ? *bounds : bounds_for(values, &map.codes)};
  fill_shares(result, values);
  if (total == 0) {
    return result;
  }
  const auto of_all = [&](std::int64_t part) { return static_cast<double>(part) / static_cast<double>(total); };
  const double mean = of_all(sum);
  result.mean = static_cast<float>(mean);
  result.deviation = static_cast<float>(std::sqrt(std::max(0.0, of_all(squares) - mean * mean)));
  const std::int32_t zero = map.tensor().zero_point;
  std::int64_t at_ends = 0;
  for (const std::int32_t end : {map.codes.qmin, map.codes.qmax}) {
    at_ends += end == zero ? 0 : counts[static_cast<std::size_t>(end)];
  }
  result.saturated = of_all(at_ends);
  return result;
}

Distribution distribution_of(std::vector<float> sample, MinMax range, const std::vector<float>* bounds) {
  std::ranges::sort(sample);
  std::vector<Occurrence> values;
  double sum = 0.0, squares = 0.0;
  const auto add = [&](float value, std::int64_t count) {
    if (values.empty() || values.back().value != value) {
      values.push_back({value, 0});
    }
    values.back().count += count;
  };
  // The ends of all values count, though the sample may have missed them.
  add(range.min, 0);
  for (const float value : sample) {
    add(value, 1);
    sum += double{value};
    squares += double{value} * double{value};
  }
  add(range.max, 0);
  const auto count = static_cast<double>(sample.size());
  const double mean = sum / count;
  Distribution result{.bounds = bounds != nullptr ? *bounds : bounds_for(values),
                      .shares = {},
                      .mean = static_cast<float>(mean),
                      .deviation = static_cast<float>(std::sqrt(std::max(0.0, squares / count - mean * mean)))};
  fill_shares(result, values);
  return result;
}

double stability_index(const Distribution& reference, const Distribution& live) {
  assert(reference.shares.size() == live.shares.size());
  double index = 0.0;
  for (std::size_t i = 0; i < reference.shares.size(); ++i) {
    const double p = std::max(reference.shares[i], kSmallestShare);
    const double q = std::max(live.shares[i], kSmallestShare);
    index += (q - p) * std::log(q / p);
  }
  return index;
}

double kolmogorov_smirnov(const Distribution& reference, const Distribution& live) {
  assert(reference.shares.size() == live.shares.size());
  double difference = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < reference.shares.size(); ++i) {
    difference += live.shares[i] - reference.shares[i];
    largest = std::max(largest, std::abs(difference));
  }
  return std::min(largest, 1.0);
}

double mean_shift(const Distribution& reference, const Distribution& live) {
  const double difference = double{live.mean} - double{reference.mean};
  return difference == 0.0 ? 0.0 : difference / double{reference.deviation};
}

double unseen_share(const Distribution& reference, const Distribution& live) {
  double share = 0.0;
  for (std::size_t i = 0; i < reference.shares.size(); ++i) {
    share += reference.shares[i] == 0.0 ? live.shares[i] : 0.0;
  }
  return share;
}

Chance by_chance(const Distribution& reference, const Distribution& live, std::int64_t n, std::int64_t m) {
  std::int64_t bins = 0;
  for (std::size_t i = 0; i < reference.shares.size(); ++i) {
    bins += reference.shares[i] > 0.0 || live.shares[i] > 0.0 ? 1 : 0;
  }
  const double both = 1.0 / static_cast<double>(n) + 1.0 / static_cast<double>(m);
  return {.stability_index = both * rare_chi_squared(bins - 1),
          .kolmogorov_smirnov = std::sqrt(-std::log(0.0005) / 2.0) * std::sqrt(both)};
}

}  // namespace detent::evaluation
