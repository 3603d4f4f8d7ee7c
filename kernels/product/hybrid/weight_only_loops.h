#pragma once

#include <algorithm>

#include "detent/kernels/product/hybrid/weight_only_tile.h"

/// The tiles as templates over a vector unit. A source that makes them for a unit defines DETENT_WEIGHT_KERNEL and
/// DETENT_WEIGHT_TILE, the attributes of kernels for that unit and of what is inlined into them, and includes this file
/// after it. A unit has
///   Vector, Bytes      16 f32, and what a block of 16 bytes is held in
///   kRows              the most rows of a tile
///   kSums              sums of rows and outputs that registers hold
///   zero, load, load_bytes, spread (one f32 in all lanes), multiply_add (a * b + c), sum (of the lanes, in one order)
///   codes<bits, i>     the codes 16 * i to 16 * i + 15 of a block, as f32
namespace detent::kernels::weight_only {
namespace {

/// Adds the products of 16 numbers of each row with the i-th codes of a block of each output.
template <typename U, int kBits, int i, int R, int O>
DETENT_WEIGHT_TILE void add_codes(const float* x, std::int64_t x_stride, const typename U::Bytes (&bytes)[O],
                                  typename U::Vector (&part)[O][R]) {
  typename U::Vector numbers[R];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
    numbers[r] = U::load(x + r * x_stride + i * kLanes);
  }
#pragma GCC unroll 4
  for (int o = 0; o < O; ++o) {
    const typename U::Vector codes = U::template codes<kBits, i>(bytes[o]);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      part[o][r] = U::multiply_add(numbers[r], codes, part[o][r]);
    }
  }
}

template <typename U, int kBits, int R, int O>
DETENT_WEIGHT_TILE void results_of(const Tile& t, std::int64_t first) {
  using Vector = typename U::Vector;
  constexpr int kCodes = 8 / kBits;
  Vector total[O][R];
#pragma GCC unroll 4
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      total[o][r] = U::zero();
    }
  }
  const std::uint8_t* weight =
      t.weight + first / kTogether * kTogether * t.weight_row + first % kTogether * kBlockBytes;
  const float* x = t.x;
  for (std::int64_t g = 0; g < t.groups; ++g) {
    Vector part[O][R];
#pragma GCC unroll 4
    for (int o = 0; o < O; ++o) {
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        part[o][r] = U::zero();
      }
    }
    const std::int64_t blocks = g + 1 < t.groups ? t.blocks : t.last_blocks;
    for (std::int64_t b = 0; b < blocks; ++b, weight += kTogether * kBlockBytes, x += kLanes * kCodes) {
      typename U::Bytes bytes[O];
#pragma GCC unroll 4
      for (int o = 0; o < O; ++o) {
        bytes[o] = U::load_bytes(weight + o * kBlockBytes);
      }
      add_codes<U, kBits, 0, R, O>(x, t.x_stride, bytes, part);
      if constexpr (kCodes > 1) {
        add_codes<U, kBits, 1, R, O>(x, t.x_stride, bytes, part);
      }
      if constexpr (kCodes > 2) {
        add_codes<U, kBits, 2, R, O>(x, t.x_stride, bytes, part);
        add_codes<U, kBits, 3, R, O>(x, t.x_stride, bytes, part);
      }
    }
#pragma GCC unroll 4
    for (int o = 0; o < O; ++o) {
      const Vector scale = U::spread(t.scale[(first + o) * t.groups + g]);
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) {
        total[o][r] = U::multiply_add(part[o][r], scale, total[o][r]);
      }
    }
  }
#pragma GCC unroll 4
  for (int o = 0; o < O; ++o) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const float y = U::sum(total[o][r]) + t.bias[first + o];
      t.y[r * t.y_stride + first + o] = y < t.lowest ? t.lowest : y;
    }
  }
}

template <typename U, int kBits, int R>
DETENT_WEIGHT_KERNEL void tile(const Tile& t) {
  constexpr int kOutputs = std::clamp(U::kSums / R, 1, 4);
  static_assert(kTogether % kOutputs == 0);
  for (std::int64_t o = t.first; o < t.end;) {
    if (o % kOutputs == 0 && o + kOutputs <= t.end) {
      results_of<U, kBits, R, kOutputs>(t, o);
      o += kOutputs;
    } else {
      results_of<U, kBits, R, 1>(t, o);
      ++o;
    }
  }
}

template <typename U, int kBits>
constexpr std::array<Kernel, kMostRows> kernels_of_bits() {
  std::array<Kernel, kMostRows> kernels{&tile<U, kBits, 1>};
  if constexpr (U::kRows > 1) {
    kernels[1] = &tile<U, kBits, 2>;
  }
  if constexpr (U::kRows > 2) {
    kernels[2] = &tile<U, kBits, 3>;
    kernels[3] = &tile<U, kBits, 4>;
  }
  return kernels;
}

template <typename U>
constexpr Unit unit_of() {
  return {U::kRows, {kernels_of_bits<U, 8>(), kernels_of_bits<U, 4>(), kernels_of_bits<U, 2>()}};
}

}  // namespace
}  // namespace detent::kernels::weight_only
