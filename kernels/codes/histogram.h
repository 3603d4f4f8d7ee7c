#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

/// How often values occur, in bins of one width.
namespace detent::kernels {

/// Bins of which bin i holds the reals x with floor((x - lower) * per_width) = i, in double; those beyond the ends
/// count in the first and the last one.
struct Bins {
  double lower = 0.0;      ///< edge of the first
  double per_width = 0.0;  ///< 1 / width; 0: all values lie in the first bin
  std::int64_t count = 0;  ///< at most kMostBins
  std::int64_t of(double x) const {
    const double position = (x - lower) * per_width;
    return position > 0.0 ? static_cast<std::int64_t>(std::min(position, static_cast<double>(count - 1))) : 0;
  }
};
inline constexpr std::int64_t kMostBins = 4096;

/// Adds to `counts` [bins.count] how many of `x` lie in each bin; NaN and infinities are passed over. The counts do not
/// depend on the order of the values. Single-threaded, vectorized, without allocations: for whole tensors call it a
/// slice at a time. REQUIRES: fewer than 2^32 values.
void count_bins(std::span<const float> x, const Bins& bins, std::span<double> counts);

}  // namespace detent::kernels
