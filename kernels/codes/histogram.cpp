#include "detent/kernels/codes/histogram.h"

#include <algorithm>
#include <array>
#include <limits>

#include "detent/core/error.h"
#include "detent/core/processor/vectorized.h"

namespace detent::kernels {
namespace {

constexpr std::int64_t kTile = 512;
/// Equal values follow each other, as those of a closed ReLU do: an addition would wait for the one before it.
constexpr std::int64_t kCopies = 4;

/// The bin of each value; of what is not finite the one behind the last.
DETENT_VECTORIZED void find_bins(const float* x, std::int64_t n, double lower, double per_width, double last,
                                 std::int32_t* bin) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  for (std::int64_t i = 0; i < n; ++i) {
    const bool is_finite = x[i] >= -kLargest && x[i] <= kLargest;
    const double real = static_cast<double>(is_finite ? x[i] : 0.0F);
    double position = (real - lower) * per_width;
    position = position > 0.0 ? position : 0.0;
    position = position < last ? position : last;
    bin[i] = is_finite ? static_cast<std::int32_t>(position) : static_cast<std::int32_t>(last) + 1;
  }
}

DETENT_VECTORIZED void add_copies(const std::uint32_t* __restrict a, const std::uint32_t* __restrict b,
                                  const std::uint32_t* __restrict c, const std::uint32_t* __restrict d,
                                  std::int64_t count, double* __restrict counts) {
  for (std::int64_t bin = 0; bin < count; ++bin) {
    counts[bin] += static_cast<double>(a[bin] + b[bin] + c[bin] + d[bin]);
  }
}

}  // namespace

void count_bins(std::span<const float> x, const Bins& bins, std::span<double> counts) {
  check(1 <= bins.count && bins.count <= kMostBins && counts.size() == static_cast<std::size_t>(bins.count),
        "histogram: expected 1 to ", kMostBins, " bins, got ", bins.count, " and ", counts.size(), " counts");
  std::array<std::array<std::uint32_t, kMostBins + 1>, kCopies> copies;
  for (auto& copy : copies) {
    std::fill_n(copy.begin(), bins.count + 1, 0U);
  }
  std::array<std::int32_t, kTile> tile;
  const auto last = static_cast<double>(bins.count - 1);
  const auto total = static_cast<std::int64_t>(x.size());
  for (std::int64_t begin = 0; begin < total; begin += kTile) {
    const std::int64_t size = std::min(kTile, total - begin);
    find_bins(x.data() + begin, size, bins.lower, bins.per_width, last, tile.data());
    std::int64_t i = 0;
    for (; i + kCopies <= size; i += kCopies) {
      for (std::int64_t copy = 0; copy < kCopies; ++copy) {
        ++copies[static_cast<std::size_t>(copy)][static_cast<std::size_t>(tile[static_cast<std::size_t>(i + copy)])];
      }
    }
    for (; i < size; ++i) {
      ++copies[0][static_cast<std::size_t>(tile[static_cast<std::size_t>(i)])];
    }
  }
  add_copies(copies[0].data(), copies[1].data(), copies[2].data(), copies[3].data(), bins.count, counts.data());
}

}  // namespace detent::kernels
