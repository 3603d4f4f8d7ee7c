#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "detent/kernels/product/int8/tile.h"
#include "detent/kernels/product/int8/tile_sums.h"

/// The tiles as templates over a vector unit. A source that makes them for a unit defines DETENT_TILE, the attributes
/// of functions for that unit (which cannot depend on a template's parameter), and includes this file after it. A unit
/// has
///   Vector, Seen     s32 of its lanes; ranges of reals: see requantize_tile.h
///   kLanes           outputs of a vector
///   kCodeBytes       see Int8Unit
///   kPixels          [V - 1]: the most pixels of a tile, as registers allow
///   kSharesColumns   whether it has registers for multiply_shared
///   kWindows         [V - 1]: the most windows of a pooled tile
///   zero, load, store, broadcast (of four bytes), largest, add_products (of a group's codes and weights)
///   reals            the real numbers that sums become, their bits: see TileReals
namespace detent::kernels {
namespace {

/// Copies the first `count` of up to kBytes bytes: in powers of two, since a loop would become a call, around which
/// sums leave their registers.
template <int kBytes>
DETENT_TILE void copy_part(std::uint8_t* to, const std::uint8_t* from, std::int64_t count) {
  if (count >= kBytes) {
    std::memcpy(to, from, kBytes);
    return;
  }
  if constexpr (kBytes > 1) {
    constexpr int kHalf = static_cast<int>(std::bit_ceil(static_cast<unsigned>(kBytes)) / 2);
    if (count >= kHalf) {
      std::memcpy(to, from, kHalf);
      to += kHalf;
      from += kHalf;
      count -= kHalf;
    }
    copy_part<kHalf>(to, from, count);
  }
}

/// Where codes go. A copy of what the tile says, since a store of bytes might change that for all that compilers know.
struct CodesTo {
  TileRequantization clamps;
  std::int64_t outputs;
  std::uint8_t* y;
  std::int64_t y_stride;
};

/// Clamps and stores the rounded codes of as many pixels, from kFirst on, as one vector holds. kWhole: all outputs of V
/// vectors exist.
template <typename Unit, bool kWhole, int kFirst, int P, int V>
DETENT_TILE void store_vector(const CodesTo& to, const typename Unit::Vector (&q)[P][V]) {
  constexpr int kBytes = V * Unit::kLanes;
  constexpr int kPixels = std::min(4 / V, P - kFirst);
  typename Unit::Vector four[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    four[i] = i < kPixels * V ? q[kFirst + i / V][i % V] : Unit::zero();
  }
  const typename Unit::Vector codes = clamp_and_pack(four, to.clamps);
  std::uint8_t* const y = to.y + kFirst * to.y_stride;
  if (kWhole && kPixels * V == 4 && (kPixels == 1 || to.y_stride == kBytes)) {
    Unit::store(y, codes);
    return;
  }
  alignas(64) std::uint8_t bytes[4 * Unit::kLanes];
  Unit::store(bytes, codes);
#pragma GCC unroll 4
  for (int i = 0; i < kPixels; ++i) {
    if constexpr (kWhole) {
      std::memcpy(y + i * to.y_stride, bytes + i * kBytes, kBytes);
    } else {
      copy_part<kBytes>(y + i * to.y_stride, bytes + i * kBytes, to.outputs);
    }
  }
}

/// Not a loop, so that sums surely stay in registers.
template <typename Unit, bool kWhole, int P, int V, int... kVectors>
DETENT_TILE void store_vectors(const CodesTo& to, const typename Unit::Vector (&q)[P][V],
                               std::integer_sequence<int, kVectors...>) {
  (store_vector<Unit, kWhole, kVectors*(4 / V), P, V>(to, q), ...);
}

template <typename Unit, int P, int V>
DETENT_TILE void store_codes(const Int8Tile& t, const typename Unit::Vector (&q)[P][V]) {
  constexpr int kTogether = 4 / V;
  constexpr auto kVectors = std::make_integer_sequence<int, (P + kTogether - 1) / kTogether>();
  const CodesTo to{t.requantization, t.outputs, t.y, t.y_stride};
  if (to.outputs == V * Unit::kLanes) {
    store_vectors<Unit, true, P, V>(to, q, kVectors);
  } else {
    store_vectors<Unit, false, P, V>(to, q, kVectors);
  }
}

template <typename Unit, bool kBias, int P, int V>
DETENT_TILE void requantize_and_store(const Int8Tile& t, typename Unit::Vector (&acc)[P][V]) {
#pragma GCC unroll 32
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      acc[p][v] = requantize_vector<kBias>(acc[p][v], t.requantization, Unit::kLanes * v);
    }
  }
  store_codes<Unit, P, V>(t, acc);
}

template <typename Unit, bool kBias>
struct Codes {
  static constexpr const auto& kMost = Unit::kPixels;
  template <int P, int V>
  DETENT_TILE_KERNEL static void tile(const Int8Tile& t) {
    typename Unit::Vector acc[P][V];
    multiply<Unit, 1, P, V>(t, acc);
    requantize_and_store<Unit, kBias, P, V>(t, acc);
  }
};

template <typename Unit, bool kBias>
struct Added {
  static constexpr const auto& kMost = Unit::kPixels;
  template <int P, int V>
  DETENT_TILE_KERNEL static void tile(const Int8Tile& t) {
    constexpr int kBytes = V * Unit::kLanes;
    const std::uint8_t* other = t.other;
    std::int64_t stride = t.y_stride;
    alignas(64) std::uint8_t filled[P * kBytes];
    if (t.outputs < kBytes) {
#pragma GCC unroll 32
      for (int p = 0; p < P; ++p) {
        copy_part<kBytes>(filled + p * kBytes, other + p * stride, t.outputs);
      }
      other = filled;
      stride = kBytes;
    }
    typename Unit::Vector acc[P][V];
    multiply<Unit, 1, P, V>(t, acc);
#pragma GCC unroll 32
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        acc[p][v] = requantize_and_add<kBias>(acc[p][v], t.requantization, Unit::kLanes * v, t.addition,
                                              other + p * stride + Unit::kLanes * v);
      }
    }
    store_codes<Unit, P, V>(t, acc);
  }
};

template <typename Unit>
struct Observed {
  static constexpr const auto& kMost = Unit::kPixels;
  template <int P, int V>
  DETENT_TILE_KERNEL static void tile(const Int8Tile& t) {
    typename Unit::Vector acc[P][V];
    multiply<Unit, 1, P, V>(t, acc);
    const TileObservation& o = t.observation;
    typename Unit::Seen seen(o.seen);
#pragma GCC unroll 32
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        const typename Unit::Seen::Mask mask = observe_vector(acc[p][v], t.requantization, o, Unit::kLanes * v, seen);
        std::memcpy(o.mask + p * o.mask_stride + static_cast<int>(sizeof(mask)) * v, &mask, sizeof(mask));
      }
    }
    store_codes<Unit, P, V>(t, acc);
    seen.store(o.seen);
  }
};

/// The largest sum of each window of 2 x 2 pixels.
template <typename Unit, int P, int V>
DETENT_TILE void largest_of_windows(const typename Unit::Vector (&acc)[4 * P][V],
                                    typename Unit::Vector (&largest)[P][V]) {
#pragma GCC unroll 32
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      largest[p][v] = Unit::largest(Unit::largest(acc[2 * p][v], acc[2 * p + 1][v]),
                                    Unit::largest(acc[2 * P + 2 * p][v], acc[2 * P + 2 * p + 1][v]));
    }
  }
}

template <typename Unit, bool kBias>
struct Pooled {
  static constexpr const auto& kMost = Unit::kWindows;
  template <int P, int V>
  DETENT_TILE_KERNEL static void tile(const Int8Tile& t) {
    typename Unit::Vector acc[4 * P][V];
    multiply<Unit, 2, 2 * P, V>(t, acc);
    typename Unit::Vector largest[P][V];
    largest_of_windows<Unit, P, V>(acc, largest);
    requantize_and_store<Unit, kBias, P, V>(t, largest);
  }
};

template <typename Unit, int V>
DETENT_TILE void store_sums(const Int8Tile& t, int pixel, const typename Unit::Vector (&sums)[V]) {
  constexpr int kBytes = 4 * Unit::kLanes;
  std::uint8_t* const y = t.y + pixel * t.y_stride;
#pragma GCC unroll 4
  for (int v = 0; v < V - 1; ++v) {
    Unit::store(y + kBytes * v, sums[v]);
  }
  std::uint8_t* const last = y + kBytes * (V - 1);
  if (t.outputs == Unit::kLanes * V) {
    Unit::store(last, sums[V - 1]);
    return;
  }
  alignas(64) std::uint8_t bytes[kBytes];
  Unit::store(bytes, sums[V - 1]);
  copy_part<kBytes>(last, bytes, 4 * t.outputs - kBytes * (V - 1));
}

template <typename Unit, int P, int V, int... kPixel>
DETENT_TILE void store_pixels(const Int8Tile& t, const typename Unit::Vector (&acc)[P][V],
                              std::integer_sequence<int, kPixel...>) {
  (store_sums<Unit, V>(t, kPixel, acc[kPixel]), ...);
}

template <typename Unit>
struct Sums {
  static constexpr const auto& kMost = Unit::kPixels;
  template <int P, int V>
  DETENT_TILE_KERNEL static void tile(const Int8Tile& t) {
    typename Unit::Vector acc[P][V];
    multiply<Unit, 1, P, V>(t, acc);
    store_pixels<Unit, P, V>(t, acc, std::make_integer_sequence<int, P>());
  }
};

template <typename Unit, int P, int V>
DETENT_TILE void store_reals(const Int8Tile& t, typename Unit::Vector (&acc)[P][V]) {
#pragma GCC unroll 32
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      acc[p][v] = Unit::reals(acc[p][v], t.reals, Unit::kLanes * v);
    }
  }
  store_pixels<Unit, P, V>(t, acc, std::make_integer_sequence<int, P>());
}

template <typename Unit>
struct Reals {
  static constexpr const auto& kMost = Unit::kPixels;
  template <int P, int V>
  DETENT_TILE_KERNEL static void tile(const Int8Tile& t) {
    typename Unit::Vector acc[P][V];
    multiply<Unit, 1, P, V>(t, acc);
    store_reals<Unit, P, V>(t, acc);
  }
};

template <typename Unit>
struct PooledReals {
  static constexpr const auto& kMost = Unit::kWindows;
  template <int P, int V>
  DETENT_TILE_KERNEL static void tile(const Int8Tile& t) {
    typename Unit::Vector acc[4 * P][V];
    multiply<Unit, 2, 2 * P, V>(t, acc);
    typename Unit::Vector largest[P][V];
    largest_of_windows<Unit, P, V>(acc, largest);
    store_reals<Unit, P, V>(t, largest);
  }
};

template <typename Kind, int V, std::size_t... P>
constexpr std::array<Int8Kernel, sizeof...(P)> row_of(std::index_sequence<P...>) {
  return {&Kind::template tile<static_cast<int>(P) + 1, V>...};
}

template <typename Kind, std::size_t kRow>
constexpr auto kRowOf = row_of<Kind, static_cast<int>(kRow) + 1>(std::make_index_sequence<Kind::kMost[kRow]>());

template <typename Kind>
Int8Kernels kernels_of() {
  const auto rows = []<std::size_t... kRow>(std::index_sequence<kRow...>)->Int8Kernels {
    return {kRowOf<Kind, kRow>...};
  };
  return rows(std::make_index_sequence<Kind::kMost.size()>());
}

template <typename Unit>
Int8Unit unit_of() {
  return {.lanes = Unit::kLanes,
          .code_bytes = Unit::kCodeBytes,
          .codes = kernels_of<Codes<Unit, false>>(),
          .biased_codes = kernels_of<Codes<Unit, true>>(),
          .added = kernels_of<Added<Unit, false>>(),
          .biased_added = kernels_of<Added<Unit, true>>(),
          .observed = kernels_of<Observed<Unit>>(),
          .pooled = kernels_of<Pooled<Unit, false>>(),
          .biased_pooled = kernels_of<Pooled<Unit, true>>(),
          .sums = kernels_of<Sums<Unit>>(),
          .reals = kernels_of<Reals<Unit>>(),
          .pooled_reals = kernels_of<PooledReals<Unit>>()};
}

}  // namespace
}  // namespace detent::kernels
