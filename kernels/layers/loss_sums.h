#pragma once

#include <algorithm>
#include <vector>

#include "detent/core/error.h"
#include "detent/core/threads/parallel.h"

/// What losses are computed with. Private to the sources of losses.
namespace detent::kernels {

inline constexpr std::int64_t kLossElementsPerSlice = 16 * 1024;

/// The sum of term(row) over rows, in row order; the terms are computed in parallel.
template <typename Fn>
double sum_over_rows(std::int64_t rows, std::int64_t classes, Fn term) {
  std::vector<double> terms(static_cast<std::size_t>(rows));
  const Slices slices = slice_rows(rows, kLossElementsPerSlice / std::max<std::int64_t>(classes, 1));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (std::int64_t r = slices[slice].begin; r < slices[slice].end; ++r) {
      terms[static_cast<std::size_t>(r)] = term(r);
    }
  });
  double total = 0;
  for (const double t : terms) {
    total += t;
  }
  return total;
}

template <typename Fn>
void for_each_row(std::int64_t rows, std::int64_t classes, Fn fn) {
  const Slices slices = slice_rows(rows, kLossElementsPerSlice / std::max<std::int64_t>(classes, 1));
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (std::int64_t r = slices[slice].begin; r < slices[slice].end; ++r) {
      fn(r);
    }
  });
}

inline void check_rows(const char* what, std::int64_t rows, std::int64_t classes) {
  check(rows >= 1 && classes >= 1, what, ": expected at least one row and one class, got ", rows, " and ", classes);
}

inline void check_smoothing(double smoothing) {
  check(smoothing >= 0 && smoothing <= 1, "cross-entropy: expected label smoothing in [0, 1], got ", smoothing);
}

}  // namespace detent::kernels
