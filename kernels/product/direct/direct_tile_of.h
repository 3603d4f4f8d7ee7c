#pragma once

#include <array>
#include <utility>

#include "detent/core/processor/intrinsics.h"
#include "detent/kernels/product/direct/direct_tile.h"

/// The tile of a unit, for the sources that say what a unit is: they define DETENT_DIRECT_TARGET, the attribute of
/// functions that may use its instructions, before they include this.
namespace detent::kernels::direct {
namespace {

/// Unit: Vector, kLanes, kLines, kColumns, and
///   zero(), load(p), load(p, mask), store(p, v), store(p, mask, v), store_bf16(p, mask, v), mask_of(outputs),
///   broadcast(p)                 32 bits of the input in every lane
///   add_products(sum, b, w)      sum += b * w, lane by lane
///   add(a, b), positive(v)
template <typename U, int kLines, int kColumns, int V>
DETENT_DIRECT_TARGET void tile(const Tile& t) {
  using Vector = typename U::Vector;
  constexpr int kPixels = kLines * kColumns;
  const auto mask = U::mask_of(t.outputs);
  Vector acc[kPixels][V];
  {
    Vector start[V];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      start[v] = t.bias == nullptr ? U::zero()
                 : v == V - 1      ? U::load(t.bias + v * U::kLanes, mask)
                                   : U::load(t.bias + v * U::kLanes);
    }
#pragma GCC unroll 28
    for (int p = 0; p < kPixels; ++p) {
#pragma GCC unroll 2
      for (int v = 0; v < V; ++v) {
        acc[p][v] = start[v];
      }
    }
  }
  const float* weight = t.weight;
  const std::int64_t stride = t.pixel_stride;
  for (std::int64_t row = 0; row < t.rows; ++row) {
    for (std::int64_t column = 0; column < t.columns; ++column) {
      const std::byte* x[kLines];
#pragma GCC unroll 4
      for (int line = 0; line < kLines; ++line) {
        x[line] = t.x + row * t.row_stride + column * t.column_stride + line * t.line_stride;
      }
      for (std::int64_t group = t.groups; group > 0; --group) {
        Vector w[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) {
          w[v] = U::load(weight + v * U::kLanes);
        }
#pragma GCC unroll 4
        for (int line = 0; line < kLines; ++line) {
#pragma GCC unroll 7
          for (int c = 0; c < kColumns; ++c) {
            const Vector b = U::broadcast(x[line] + c * stride);
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) {
              U::add_products(acc[line * kColumns + c][v], b, w[v]);
            }
          }
          x[line] += 4;
        }
        weight += V * U::kLanes;
      }
    }
  }
  // One question for all sums, not one for each.
  const auto place = [&](int p, int v) DETENT_DIRECT_TARGET {
    return p / kColumns * t.y_line_stride + p % kColumns * t.y_pixel_stride + v * U::kLanes;
  };
  if (t.other != nullptr) {
#pragma GCC unroll 56
    for (int i = 0; i < kPixels * V; ++i) {
      const float* const other = t.other + place(i / V, i % V);
      Vector& sum = acc[i / V][i % V];
      sum = U::add(sum, i % V == V - 1 ? U::load(other, mask) : U::load(other));
    }
  }
  if (t.relu) {
#pragma GCC unroll 56
    for (int i = 0; i < kPixels * V; ++i) {
      acc[i / V][i % V] = U::positive(acc[i / V][i % V]);
    }
  }
  if (t.out == DType::BF16) {
#pragma GCC unroll 56
    for (int i = 0; i < kPixels * V; ++i) {
      U::store_bf16(reinterpret_cast<bfloat16*>(t.y) + place(i / V, i % V),
                    i % V == V - 1 ? mask : U::mask_of(U::kLanes), acc[i / V][i % V]);
    }
    return;
  }
#pragma GCC unroll 56
  for (int i = 0; i < kPixels * V; ++i) {
    float* const y = reinterpret_cast<float*>(t.y) + place(i / V, i % V);
    i % V == V - 1 ? U::store(y, mask, acc[i / V][i % V]) : U::store(y, acc[i / V][i % V]);
  }
}

template <typename U, int V, int kLines, std::size_t... C>
constexpr std::array<Kernel, sizeof...(C)> tiles_of_lines(std::index_sequence<C...>) {
  return {&tile<U, kLines, static_cast<int>(C) + 1, V>...};
}

template <typename U, int V, std::size_t... L>
Kernel tile_of(int lines, int columns, std::index_sequence<L...>) {
  using Columns = std::make_index_sequence<U::kColumns[V - 1]>;
  static constexpr std::array kTiles{tiles_of_lines<U, V, static_cast<int>(L) + 1>(Columns())...};
  return kTiles[static_cast<std::size_t>(lines - 1)][static_cast<std::size_t>(columns - 1)];
}

template <typename U>
Kernel kernel_of(int lines, int columns, int vectors) {
  return vectors == 1 ? tile_of<U, 1>(lines, columns, std::make_index_sequence<U::kLines[0]>())
                      : tile_of<U, 2>(lines, columns, std::make_index_sequence<U::kLines[1]>());
}

template <typename U>
constexpr Unit unit_of() {
  return {U::kLanes, U::kPerGroup, {U::kLines[0], U::kLines[1]}, {U::kColumns[0], U::kColumns[1]}, &kernel_of<U>};
}

}  // namespace
}  // namespace detent::kernels::direct
