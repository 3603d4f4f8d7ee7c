#pragma once

#include "detent/kernels/product/int8/tile.h"

/// What the tiles of tile_loops.h begin with: the sums of their pixels. Included by it, and needs what it does.
namespace detent::kernels {
namespace {

constexpr int kSharedColumns = 3;

/// multiply() of one line and vector where kernel rows are of three neighbouring pixels, whose own windows lie beside
/// each other: what a pixel's codes are broadcast for serves three sums.
template <typename Unit, int P>
DETENT_TILE void multiply_shared(const Int8Tile& t, typename Unit::Vector (&acc)[P][1]) {
  constexpr int kNear = 8;
  const std::int64_t stride = t.pixel_stride;
  const std::int64_t column = 4 * Unit::kLanes * t.pixel_groups;
  const std::int8_t* weight = t.weight;
  for (std::int64_t row = 0; row < t.kernel_rows; ++row, weight += (kSharedColumns - 1) * column) {
    const std::uint8_t* x = t.x + row * t.kernel_row_stride;
    const std::uint8_t* const end = x + 4 * t.pixel_groups;
    const std::uint8_t* far = x + kNear * stride;
    for (; x != end; x += 4, far += 4, weight += 4 * Unit::kLanes) {
      const typename Unit::Vector w[kSharedColumns] = {Unit::load(weight), Unit::load(weight + column),
                                                       Unit::load(weight + 2 * column)};
#pragma GCC unroll 32
      for (int pixel = 0; pixel < P + kSharedColumns - 1; ++pixel) {
        const typename Unit::Vector codes =
            Unit::broadcast(pixel < kNear ? x + pixel * stride : far + (pixel - kNear) * stride);
#pragma GCC unroll 4
        for (int i = 0; i < kSharedColumns; ++i) {
          if (i <= pixel && pixel - i < P) {
            Unit::add_products(acc[pixel - i][0], codes, w[i]);
          }
        }
      }
    }
  }
}

/// Makes `acc` the sums of kLines lines of kColumns pixels, pixel by pixel of V vectors.
template <typename Unit, int kLines, int kColumns, int V>
DETENT_TILE void multiply_codes(const Int8Tile& t, typename Unit::Vector (&acc)[kLines * kColumns][V]) {
#pragma GCC unroll 32
  for (int p = 0; p < kLines * kColumns; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      acc[p][v] = Unit::load(t.start + Unit::kLanes * v);
    }
  }
  if constexpr (Unit::kSharesColumns && kLines == 1 && V == 1) {
    if (t.pixel_groups > 0) {
      multiply_shared<Unit, kColumns>(t, acc);
      return;
    }
  }
  constexpr int kNear = 8;
  const std::int8_t* weight = t.weight;
  const std::int64_t stride = t.pixel_stride;
  for (std::int64_t row = 0; row < t.kernel_rows; ++row) {
    const std::uint8_t* x = t.x + row * t.kernel_row_stride;
    const std::uint8_t* const end = x + 4 * t.groups;
    // A second pointer for many pixels: their distances from one would take more registers than there are.
    const std::uint8_t* far = x + kNear * stride;
    for (; x != end; x += 4, far += 4, weight += 4 * Unit::kLanes * V) {
      typename Unit::Vector w[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        w[v] = Unit::load(weight + 4 * Unit::kLanes * v);
      }
#pragma GCC unroll 2
      for (int line = 0; line < kLines; ++line) {
        const std::int64_t first = line * t.line_stride;
#pragma GCC unroll 32
        for (int column = 0; column < kColumns; ++column) {
          const std::uint8_t* const pixel = column < kNear ? x + column * stride : far + (column - kNear) * stride;
          const typename Unit::Vector codes = Unit::broadcast(pixel + first);
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v) {
            Unit::add_products(acc[line * kColumns + column][v], codes, w[v]);
          }
        }
      }
    }
  }
}

/// The same of any unit: one of bit planes has its own, and so has one of halves (half_tile.h).
template <typename Unit, int kLines, int kColumns, int V>
DETENT_TILE void multiply(const Int8Tile& t, typename Unit::Vector (&acc)[kLines * kColumns][V]) {
  if constexpr (requires { Unit::kPlanes; }) {
    Unit::template multiply<kLines, kColumns, V>(t, acc);
  } else {
    multiply_codes<Unit, kLines, kColumns, V>(t, acc);
  }
}

}  // namespace
}  // namespace detent::kernels
