#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "detent/core/lanes.h"

/// The loops of batch normalization over the rows of a slice. Numbers of a channel stay in one lane, and their order is
/// that of the rows, so the bits do not depend on the width of vectors. X is what loops read numbers as (`raw`), T what
/// they compute in. Private to batch_norm.cpp.
namespace detent::kernels {

/// Rows that stay in the first cache while one block of columns after the other is read, and at least `least`: sums are
/// taken in T over a tile, and then added to sums in double, which costs as much as some rows.
template <typename X>
std::int64_t rows_of_tile(std::int64_t channels, std::int64_t least) {
  return std::max<std::int64_t>(8 * 1024 / (channels * static_cast<std::int64_t>(sizeof(X))), least);
}
inline constexpr std::int64_t kLeastRows = 8, kLeastSummedRows = 64;

/// Calls add(r, i) for rows r of [0, rows), where i says which of four sums takes the row.
template <typename Add>
[[gnu::always_inline]] inline void by_fours(std::int64_t rows, const Add& add) {
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    add(r, 0);
    add(r + 1, 1);
    add(r + 2, 2);
    add(r + 3, 3);
  }
  for (; r < rows; ++r) {
    add(r, 0);
  }
}

/// Merges the rows of a tile into the mean of columns and the sum of squares around it (Chan, Golub, LeVeque 1983).
/// Within the tile distances are taken from its first row: as that is one of the numbers, no more bits are lost in
/// taking the square of the mean off than the tile has rows.
template <typename X, typename T>
struct TileMoments {
  using Number = T;
  const X* x;
  std::int64_t rows, channels;
  double before;  ///< the rows that were merged already
  double *mean, *squares;

  template <int kLanes>
  [[gnu::always_inline]] void columns(std::int64_t c) const {
    using V = Lanes<T, kLanes>;
    V first;
    load_lanes<kLanes>(x + c, first);
    std::array<V, 4> sums{}, products{};
    by_fours(
        rows, [&](std::int64_t r, std::size_t i) __attribute__((always_inline)) {
          V value;
          load_lanes<kLanes>(x + r * channels + c, value);
          value -= first;
          sums[i] += value;
          products[i] += value * value;
        });
    const V sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    const V product = (products[0] + products[1]) + (products[2] + products[3]);
    const auto added = static_cast<double>(rows);
    for (int lane = 0; lane < kLanes; ++lane) {
      const double shift = static_cast<double>(sum[lane]) / added;
      const double distance = static_cast<double>(first[lane]) + shift - mean[c + lane];
      mean[c + lane] += distance * (added / (before + added));
      squares[c + lane] += static_cast<double>(product[lane]) - static_cast<double>(sum[lane]) * shift +
                           distance * distance * (before * added / (before + added));
    }
  }
};

/// What a channel's numbers are normalized by: y = (x - mean) * factor + shift.
template <typename T>
struct ChannelMap {
  const T *mean, *factor, *shift;
};

/// y = (x - mean) * factor + shift, then max(0, .) if kRelu. Members are read once, as stores might change them for all
/// that the compiler knows.
template <bool kRelu, typename X, typename T>
struct NormalizeTile {
  using Number = T;
  const X* x;
  std::int64_t rows, channels;
  ChannelMap<T> by;
  X* y;

  template <int kLanes>
  [[gnu::always_inline]] void columns(std::int64_t c) const {
    using V = Lanes<T, kLanes>;
    V mean, factor, shift;
    load_lanes<kLanes>(by.mean + c, mean);
    load_lanes<kLanes>(by.factor + c, factor);
    load_lanes<kLanes>(by.shift + c, shift);
    const X* in = x + c;
    X* out = y + c;
    for (std::int64_t left = rows, step = channels; left > 0; --left, in += step, out += step) {
      V value;
      load_lanes<kLanes>(in, value);
      value = (value - mean) * factor + shift;
      if constexpr (kRelu) {
        value = value < T{0} ? V{} : value;
      }
      store_lanes<kLanes>(value, out);
    }
  }
};

/// The gradient of (x - mean) * factor + shift from that of y: dy, or, of max(0, y), dy where y > 0; y is computed
/// again, to the same bits.
template <bool kRelu, int kLanes, typename T>
[[gnu::always_inline]] inline void mask_lanes(const Lanes<T, kLanes>& distance, const Lanes<T, kLanes>& factor,
                                              const Lanes<T, kLanes>& shift, Lanes<T, kLanes>& dy) {
  if constexpr (kRelu) {
    dy = distance * factor + shift > T{0} ? dy : Lanes<T, kLanes>{};
  }
}

/// Adds the sums of dy and of dy * (x - mean) over rows.
template <bool kRelu, typename X, typename T>
struct AddGradients {
  using Number = T;
  const X *dy, *x;
  std::int64_t rows, channels;
  ChannelMap<T> by;
  double *sum, *product;

  template <int kLanes>
  [[gnu::always_inline]] void columns(std::int64_t c) const {
    using V = Lanes<T, kLanes>;
    V mean, factor, shift;
    load_lanes<kLanes>(by.mean + c, mean);
    load_lanes<kLanes>(by.factor + c, factor);
    load_lanes<kLanes>(by.shift + c, shift);
    std::array<V, 4> sums{}, products{};
    by_fours(
        rows, [&](std::int64_t r, std::size_t i) __attribute__((always_inline)) {
          V distance, gradient;
          load_lanes<kLanes>(x + r * channels + c, distance);
          load_lanes<kLanes>(dy + r * channels + c, gradient);
          distance -= mean;
          mask_lanes<kRelu, kLanes, T>(distance, factor, shift, gradient);
          sums[i] += gradient;
          products[i] += gradient * distance;
        });
    const V tile_sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    const V tile_product = (products[0] + products[1]) + (products[2] + products[3]);
    for (int lane = 0; lane < kLanes; ++lane) {
      sum[c + lane] += static_cast<double>(tile_sum[lane]);
      product[c + lane] += static_cast<double>(tile_product[lane]);
    }
  }
};

/// dx = factor * (dy - dy_mean - (x - mean) * slope)
template <bool kRelu, typename X, typename T>
struct InputGradient {
  using Number = T;
  const X *dy, *x;
  std::int64_t rows, channels;
  ChannelMap<T> by;
  const T *dy_mean, *slope;
  X* dx;

  template <int kLanes>
  [[gnu::always_inline]] void columns(std::int64_t c) const {
    using V = Lanes<T, kLanes>;
    V mean, factor, shift, of_dy, of_x;
    load_lanes<kLanes>(by.mean + c, mean);
    load_lanes<kLanes>(by.factor + c, factor);
    load_lanes<kLanes>(by.shift + c, shift);
    load_lanes<kLanes>(dy_mean + c, of_dy);
    load_lanes<kLanes>(slope + c, of_x);
    const X *in = x + c, *above = dy + c;
    X* out = dx + c;
    for (std::int64_t left = rows, step = channels; left > 0; --left, in += step, above += step, out += step) {
      V distance, gradient;
      load_lanes<kLanes>(in, distance);
      load_lanes<kLanes>(above, gradient);
      distance -= mean;
      mask_lanes<kRelu, kLanes, T>(distance, factor, shift, gradient);
      gradient = factor * (gradient - of_dy - distance * of_x);
      store_lanes<kLanes>(gradient, out);
    }
  }
};

}  // namespace detent::kernels
