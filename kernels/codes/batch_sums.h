#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>

#include "detent/kernels/codes/quantize.h"

/// The forward pass of quantized layers with batch statistics, on integer sums of a slice in cache. Single-threaded,
/// vectorized.
namespace detent::kernels {

/// The moments and the range of the sums of each output.
struct SumMoments {
  double sum = 0.0, squares = 0.0;
  std::int32_t smallest = std::numeric_limits<std::int32_t>::max();
  std::int32_t largest = std::numeric_limits<std::int32_t>::min();

  void include(const SumMoments& other) {
    sum += other.sum;
    squares += other.squares;
    smallest = std::min(smallest, other.smallest);
    largest = std::max(largest, other.largest);
  }
};
/// Includes acc [rows, outputs] in `moments`, of each output, in an order that depends on the shape alone.
void include_moments(const std::int32_t* acc, std::int64_t rows, std::int64_t outputs, SumMoments* moments);
/// What requantize sees of sums whose moments these are: the range of their real values, as a real value grows with its
/// sum. One that is not finite is left out.
MinMax range_of_reals(std::span<const SumMoments> moments, const Requantization& r);

/// narrow[r, o] = rne((float(acc[r, o]) - center[o]) * inverse_step[o]), within [-127, 127].
void narrow_sums(const std::int32_t* acc, std::int64_t rows, std::int64_t outputs, const float* center,
                 const float* inverse_step, std::int8_t* narrow);

/// What requantize and narrow_sums give, in one pass.
void requantize_and_narrow(const std::int32_t* acc, std::int64_t rows, const Requantization& r, const float* center,
                           const float* inverse_step, std::uint8_t* y, std::uint8_t* mask, std::int8_t* narrow);

}  // namespace detent::kernels
