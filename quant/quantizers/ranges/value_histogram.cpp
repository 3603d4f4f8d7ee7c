#include "detent/quant/quantizers/ranges/value_histogram.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "detent/core/processor/vectorized.h"

namespace detent::quant {
namespace {

/// A little more than what it holds, so that the largest value lies below the upper end whatever is rounded.
constexpr double kRoom = 1.0 + 0x1p-40;

/// The integral of e^2 over a stretch of reals [begin, end] around its level.
inline double squared_distance(double begin, double end) { return (end * end * end - begin * begin * begin) / 3.0; }

/// Sums in lanes, so that all processors add in one order.
constexpr std::size_t kLanes = 8;

/// The sum over bins of count times the integral of the squared error. `offset` is the lower edge of bin 0 seen from
/// that of the lowest level, `last` the number of the highest level.
DETENT_VECTORIZED double sum_of_errors(const ValueHistogram::Bin* bins, std::size_t size, double width, double offset,
                                       double step, double last) {
  double lanes[kLanes] = {};
  const double whole = squared_distance(-step / 2.0, step / 2.0);
  const auto error_of = [=](const ValueHistogram::Bin& bin) {
    const double begin = offset + bin.number * width;
    const double end = begin + width;
    const auto level_of = [=](double x) {
      double level = std::floor(x / step);
      level = level > 0.0 ? level : 0.0;
      return level < last ? level : last;
    };
    const double level = level_of(begin);
    const double end_level = level_of(end);
    const double from = begin - (level + 0.5) * step;
    const double to = end - (end_level + 0.5) * step;
    const double within = squared_distance(from, to);
    const double across =
        squared_distance(from, step / 2.0) + (end_level - level - 1.0) * whole + squared_distance(-step / 2.0, to);
    return bin.count * (level == end_level ? within : across);
  };
  std::size_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += error_of(bins[i + lane]);
    }
  }
  for (std::size_t lane = 0; i < size; ++i, ++lane) {
    lanes[lane] += error_of(bins[i]);
  }
  double sum = 0.0;
  for (const double lane : lanes) {
    sum += lane;
  }
  return sum;
}

}  // namespace

double ValueHistogram::total() const { return std::accumulate(counts().begin(), counts().end(), 0.0); }

void ValueHistogram::include(const MinMax& range) {
  const std::span<double> grid = grid_.data<double>();
  const double min = double{range.min};
  const double max = double{range.max};
  if (bin_width() == 0.0) {
    // Nothing yet, or values that were all one.
    const double before = total();
    const double only = grid[2];
    grid[2] = before > 0.0 ? std::min(only, min) : min;
    grid[3] = before > 0.0 ? std::max(only, max) : max;
    grid[0] = grid[2];
    grid[1] = (grid[3] - grid[2]) / static_cast<double>(kBins) * kRoom;
    counts_.data<double>()[0] = 0.0;
    counts_.data<double>()[before > 0.0 ? static_cast<std::size_t>(bins().of(only)) : 0] = before;
    return;
  }
  while (min < grid[0]) {
    double_range(true);
  }
  while (max > lower_edge(kBins)) {
    double_range(false);
  }
  grid[2] = std::min(grid[2], min);
  grid[3] = std::max(grid[3], max);
}

void ValueHistogram::double_range(bool downwards) {
  const std::span<double> grid = grid_.data<double>();
  const std::span<double> bins = counts_.data<double>();
  std::vector<double> merged(static_cast<std::size_t>(kBins), 0.0);
  const std::size_t half = merged.size() / 2;
  for (std::size_t i = 0; i < half; ++i) {
    merged[(downwards ? half : 0) + i] = bins[2 * i] + bins[2 * i + 1];
  }
  std::ranges::copy(merged, bins.begin());
  grid[0] -= downwards ? static_cast<double>(kBins) * grid[1] : 0.0;
  grid[1] *= 2.0;
}

kernels::Bins ValueHistogram::bins() const {
  const double width = bin_width();
  return {.lower = lower_edge(0), .per_width = width == 0.0 ? 0.0 : 1.0 / width, .count = kBins};
}

std::vector<double> ValueHistogram::count(std::span<const float> values) const {
  std::vector<double> counts(static_cast<std::size_t>(kBins), 0.0);
  kernels::count_bins(values, bins(), counts);
  return counts;
}

void ValueHistogram::add(std::span<const double> counts) {
  std::ranges::transform(counts, this->counts(), counts_.data<double>().begin(), std::plus());
}

std::vector<ValueHistogram::Bin> ValueHistogram::occupied() const {
  std::vector<Bin> bins;
  for (std::size_t bin = 0; bin < counts().size(); ++bin) {
    if (const double count = counts()[bin]; count != 0.0) {
      bins.push_back({static_cast<double>(bin), count});
    }
  }
  return bins;
}

double ValueHistogram::squared_error(std::span<const Bin> of, const Levels& levels) const {
  const double step = levels.step;
  const double width = bin_width();
  if (width == 0.0) {
    return 0.0;
  }
  return sum_of_errors(of.data(), of.size(), width, lower_edge(0) - levels.lowest_edge, step,
                       static_cast<double>(levels.count) - 1.0) /
         width;
}

MinMax ValueHistogram::range(std::int64_t first, std::int64_t last) const {
  const std::span<const double> grid = grid_.data<double>();
  const double low = std::clamp(lower_edge(first), grid[2], grid[3]);
  const double high = std::clamp(lower_edge(last + 1), grid[2], grid[3]);
  return {static_cast<float>(low), static_cast<float>(high)};
}

std::vector<nn::Slot> ValueHistogram::slots() {
  return {{"histogram", &counts_, nullptr, Shape{kBins}, DType::F64},
          {"histogram_grid", &grid_, nullptr, Shape{4}, DType::F64}};
}

void ValueHistogram::check_loaded() const {
  const auto is_count = [](double count) { return std::isfinite(count) && count >= 0.0; };
  check(std::ranges::all_of(counts(), is_count), "histogram: expected counts of at least 0");
  const std::span<const double> grid = grid_.data<double>();
  check(std::ranges::all_of(grid, [](double x) { return std::isfinite(x); }) && grid[1] >= 0.0 && grid[2] <= grid[3],
        "histogram_grid: expected finite numbers, a width of at least 0 and a range of values, got ", grid[0], ", ",
        grid[1], ", ", grid[2], ", ", grid[3]);
}

}  // namespace detent::quant
