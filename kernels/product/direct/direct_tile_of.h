#pragma once

#include <array>
#include <utility>

#include "detent/core/processor/intrinsics.h"
#include "detent/kernels/product/direct/direct_tile.h"

/// The tile of a unit, for the sources that say what a unit is: they define DETENT_DIRECT_TARGET, the attribute of
/// functions that may use its instructions, before they include this.
namespace detent::kernels::direct {
namespace {

/// Unit: Vector, kLanes, and
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
#pragma GCC unroll 14
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
      const std::byte* x = t.x + row * t.row_stride + column * t.column_stride;
      const std::byte* second = x + t.line_stride;
      for (std::int64_t group = t.groups; group > 0; --group) {
        Vector w[V];
#pragma GCC unroll 2
        for (int v = 0; v < V; ++v) {
          w[v] = U::load(weight + v * U::kLanes);
        }
#pragma GCC unroll 2
        for (int line = 0; line < kLines; ++line) {
          const std::byte* const pixels = line == 0 ? x : second;
#pragma GCC unroll 7
          for (int c = 0; c < kColumns; ++c) {
            const Vector b = U::broadcast(pixels + c * stride);
#pragma GCC unroll 2
            for (int v = 0; v < V; ++v) {
              U::add_products(acc[line * kColumns + c][v], b, w[v]);
            }
          }
        }
        x += 4;
        second += 4;
        weight += V * U::kLanes;
      }
    }
  }
#pragma GCC unroll 14
  for (int p = 0; p < kPixels; ++p) {
    const std::int64_t at = p / kColumns * t.y_line_stride + p % kColumns * t.y_pixel_stride;
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v) {
      const bool is_last = v == V - 1;
      const std::int64_t place = at + v * U::kLanes;
      Vector sum = acc[p][v];
      if (t.other != nullptr) {
        sum = U::add(sum, is_last ? U::load(t.other + place, mask) : U::load(t.other + place));
      }
      if (t.relu) {
        sum = U::positive(sum);
      }
      if (t.out == DType::BF16) {
        U::store_bf16(reinterpret_cast<bfloat16*>(t.y) + place, is_last ? mask : U::mask_of(U::kLanes), sum);
      } else if (is_last) {
        U::store(reinterpret_cast<float*>(t.y) + place, mask, sum);
      } else {
        U::store(reinterpret_cast<float*>(t.y) + place, sum);
      }
    }
  }
}

template <typename U, int kLines, int V, std::size_t... C>
constexpr std::array<Kernel, sizeof...(C)> tiles(std::index_sequence<C...>) {
  return {&tile<U, kLines, static_cast<int>(C) + 1, V>...};
}

template <typename U, int V>
Kernel tile_of(int lines, int columns) {
  using Columns = std::make_index_sequence<U::kColumns[V - 1]>;
  static constexpr auto kOne = tiles<U, 1, V>(Columns());
  static constexpr auto kTwo = tiles<U, 2, V>(Columns());
  return (lines == 1 ? kOne : kTwo)[static_cast<std::size_t>(columns - 1)];
}

template <typename U>
Kernel kernel_of(int lines, int columns, int vectors) {
  return vectors == 1 ? tile_of<U, 1>(lines, columns) : tile_of<U, 2>(lines, columns);
}

template <typename U>
constexpr Unit unit_of() {
  return {U::kLanes, U::kPerGroup, {U::kColumns[0], U::kColumns[1]}, &kernel_of<U>};
}

}  // namespace
}  // namespace detent::kernels::direct
