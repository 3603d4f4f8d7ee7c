#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "detent/kernels/product/int8/tile.h"

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

template <typename Unit, bool kBias>
struct Pooled {
  static constexpr const auto& kMost = Unit::kWindows;
  template <int P, int V>
  DETENT_TILE_KERNEL static void tile(const Int8Tile& t) {
    typename Unit::Vector acc[4 * P][V];
    multiply<Unit, 2, 2 * P, V>(t, acc);
    typename Unit::Vector largest[P][V];
#pragma GCC unroll 32
    for (int p = 0; p < P; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        largest[p][v] = Unit::largest(Unit::largest(acc[2 * p][v], acc[2 * p + 1][v]),
                                      Unit::largest(acc[2 * P + 2 * p][v], acc[2 * P + 2 * p + 1][v]));
      }
    }
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

template <typename Unit>
struct Sums {
  static constexpr const auto& kMost = Unit::kPixels;
  template <int P, int V>
  DETENT_TILE_KERNEL static void tile(const Int8Tile& t) {
    typename Unit::Vector acc[P][V];
    multiply<Unit, 1, P, V>(t, acc);
    store_pixels<P, V>(t, acc, std::make_integer_sequence<int, P>());
  }

 private:
  template <int P, int V, int... kPixel>
  DETENT_TILE static void store_pixels(const Int8Tile& t, const typename Unit::Vector (&acc)[P][V],
                                       std::integer_sequence<int, kPixel...>) {
    (store_sums<Unit, V>(t, kPixel, acc[kPixel]), ...);
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
          .sums = kernels_of<Sums<Unit>>()};
}

}  // namespace
}  // namespace detent::kernels
