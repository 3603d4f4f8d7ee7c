#pragma once

#include "detent/kernels/product/bits/bit_tile.h"
#include "detent/kernels/product/int8/tile_loops.h"

/// The tiles of bits as templates over a vector unit, as tile_loops.h has those of codes; a source includes this file
/// in its place. A unit has, beside what is said there but add_products,
///   Counts          of bits, lane by lane, added up so far; no_counts
///   kMostGroups     how many groups counts may take in before they are added to sums
///   count           counts += the bits set in codes & mask;  uncount   counts -= them
///   add_counts, add, subtract, doubled   of s32
namespace detent::kernels {
namespace {

/// Counts one group of kLines lines of kColumns pixels.
template <typename Unit, int kMasks, int kLines, int kColumns, int V>
DETENT_TILE void count_group(const std::uint8_t* x, const std::uint8_t* far, const BitTile& t,
                             const std::int8_t* weight, typename Unit::Counts (&counts)[kLines * kColumns][V]) {
  constexpr int kNear = 8;
  typename Unit::Vector masks[kMasks * V];
#pragma GCC unroll 8
  for (int i = 0; i < kMasks * V; ++i) {
    masks[i] = Unit::load(weight + 4 * Unit::kLanes * i);
  }
#pragma GCC unroll 2
  for (int line = 0; line < kLines; ++line) {
    const std::int64_t first = line * t.line_stride;
#pragma GCC unroll 32
    for (int column = 0; column < kColumns; ++column) {
      const std::uint8_t* const pixel =
          column < kNear ? x + column * t.pixel_stride : far + (column - kNear) * t.pixel_stride;
      const typename Unit::Vector codes = Unit::broadcast(pixel + first);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        Unit::count(counts[line * kColumns + column][v], codes, masks[kMasks * v]);
        if constexpr (kMasks == 2) {
          Unit::uncount(counts[line * kColumns + column][v], codes, masks[kMasks * v + 1]);
        }
      }
    }
  }
}

/// Adds one plane's counts to `acc`.
template <typename Unit, int kMasks, int kLines, int kColumns, int V>
DETENT_TILE void count_plane(const BitTile& t, const std::uint8_t* plane,
                             typename Unit::Vector (&acc)[kLines * kColumns][V]) {
  constexpr int kNear = 8;
  const std::int8_t* weight = t.weight;
  const std::int64_t step = 4 * Unit::kLanes * V * kMasks;
  for (std::int64_t row = 0; row < t.kernel_rows; ++row) {
    const std::uint8_t* x = plane + row * t.kernel_row_stride;
    const std::uint8_t* const end = x + 4 * t.groups;
    const std::uint8_t* far = x + kNear * t.pixel_stride;
    if constexpr (Unit::kMostGroups == 0) {
      for (; x != end; x += 4, far += 4, weight += step) {
        count_group<Unit, kMasks, kLines, kColumns, V>(x, far, t, weight, acc);
      }
    } else {
      while (x != end) {
        const std::uint8_t* const stop = x + std::min<std::int64_t>(end - x, 4 * Unit::kMostGroups);
        typename Unit::Counts counts[kLines * kColumns][V];
#pragma GCC unroll 32
        for (int p = 0; p < kLines * kColumns; ++p) {
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v) {
            counts[p][v] = Unit::no_counts();
          }
        }
        for (; x != stop; x += 4, far += 4, weight += step) {
          count_group<Unit, kMasks, kLines, kColumns, V>(x, far, t, weight, counts);
        }
#pragma GCC unroll 32
        for (int p = 0; p < kLines * kColumns; ++p) {
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v) {
            Unit::add_counts(acc[p][v], counts[p][v]);
          }
        }
      }
    }
  }
}

template <typename Unit, int P, int V>
DETENT_TILE void double_all(typename Unit::Vector (&acc)[P][V]) {
#pragma GCC unroll 32
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      acc[p][v] = Unit::add(acc[p][v], acc[p][v]);
    }
  }
}

/// Makes `acc` the sums: the upper plane first, doubled, then the lower one.
template <typename Unit, int kPlanes, int kMasks, int kLines, int kColumns, int V>
DETENT_TILE void multiply_bits(const BitTile& t, typename Unit::Vector (&acc)[kLines * kColumns][V]) {
#pragma GCC unroll 32
  for (int p = 0; p < kLines * kColumns; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      acc[p][v] = Unit::zero();
    }
  }
  if constexpr (kPlanes == 2) {
    count_plane<Unit, kMasks, kLines, kColumns, V>(t, t.x + t.plane_stride, acc);
    double_all<Unit, kLines * kColumns, V>(acc);
  }
  count_plane<Unit, kMasks, kLines, kColumns, V>(t, t.x, acc);
  if (kPlanes == 1 && t.is_upper) {
    double_all<Unit, kLines * kColumns, V>(acc);
  }
#pragma GCC unroll 32
  for (int p = 0; p < kLines * kColumns; ++p) {
    typename Unit::Vector total = Unit::zero();
    if constexpr (kMasks == 1) {
      total = Unit::broadcast_total(t.totals[p / kColumns * t.totals_stride + p % kColumns]);
    }
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      if constexpr (kMasks == 1) {
        acc[p][v] = Unit::subtract(Unit::add(acc[p][v], acc[p][v]), total);
      }
      acc[p][v] = Unit::add(acc[p][v], Unit::load(t.start + Unit::kLanes * v));
    }
  }
}

/// A unit of so many planes and masks, for tile_loops.h.
template <typename Unit, int kPlaneCount, int kMasks>
struct OfPlanes : Unit {
  static constexpr int kPlanes = kPlaneCount;
  template <int kLines, int kColumns, int V>
  DETENT_TILE static void multiply(const Int8Tile& t, typename Unit::Vector (&acc)[kLines * kColumns][V]) {
    multiply_bits<Unit, kPlanes, kMasks, kLines, kColumns, V>(static_cast<const BitTile&>(t), acc);
  }
};

/// The kernels of inference.
template <typename Unit>
Int8Unit inference_unit_of() {
  return {.lanes = Unit::kLanes,
          .code_bytes = Unit::kCodeBytes,
          .codes = kernels_of<Codes<Unit, false>>(),
          .biased_codes = kernels_of<Codes<Unit, true>>(),
          .added = kernels_of<Added<Unit, false>>(),
          .biased_added = kernels_of<Added<Unit, true>>(),
          .observed = {},
          .pooled = kernels_of<Pooled<Unit, false>>(),
          .biased_pooled = kernels_of<Pooled<Unit, true>>(),
          .sums = {},
          .reals = {},
          .pooled_reals = {}};
}

template <typename Unit>
BitUnit bit_unit_of(const BitCost& cost) {
  return {.kernels = {{{{inference_unit_of<OfPlanes<Unit, 1, 1>>(), inference_unit_of<OfPlanes<Unit, 1, 2>>()}},
                       {{inference_unit_of<OfPlanes<Unit, 2, 1>>(), inference_unit_of<OfPlanes<Unit, 2, 2>>()}}}},
          .cost = cost};
}

}  // namespace
}  // namespace detent::kernels
