#pragma once

#include <array>
#include <utility>

#include "detent/kernels/product/weight_gradient/tile.h"

// The tiles as one template over vector units. A source that includes this names its processors in DETENT_TILE, a
// target attribute: GCC inlines a unit's intrinsics only into functions that have it.
namespace detent::kernels {
namespace {

template <typename Unit, int N, int M>
DETENT_TILE void add_tile(const WeightTile& t) {
  using Vector = typename Unit::Vector;
  Vector sums[N][M];
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      sums[n][m] = Unit::load_sums(t.sums + n * t.sums_vector + m * Unit::kLanes);
    }
  }
  const std::uint32_t* dy = t.dy;
  for (std::int64_t image = 0; image < t.images; ++image) {
    for (std::int64_t line = 0; line < t.lines; ++line) {
      const std::uint32_t* x = t.x + image * t.x_image + line * t.x_line;
      for (const std::uint32_t* const end = dy + t.pixels * t.dy_pixel; dy != end; dy += t.dy_pixel, x += t.x_pixel) {
        Vector vectors[N];
#pragma GCC unroll 4
        for (int n = 0; n < N; ++n) {
          vectors[n] = Unit::load(x + t.vectors[n]);
        }
#pragma GCC unroll 16
        for (int m = 0; m < M; ++m) {
          const Vector factor = Unit::broadcast(dy + m);
#pragma GCC unroll 4
          for (int n = 0; n < N; ++n) {
            Unit::add_product(sums[n][m], factor, vectors[n]);
          }
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int n = 0; n < N; ++n) {
#pragma GCC unroll 16
    for (int m = 0; m < M; ++m) {
      Unit::store_sums(sums[n][m], t.sums + n * t.sums_vector + m * Unit::kLanes);
    }
  }
}

template <typename Unit, int N, int... M>
constexpr void set_row(WeightKernel* row, std::integer_sequence<int, M...>) {
  ((row[M] = add_tile<Unit, N, M + 1>), ...);
}

template <typename Unit, int... N>
constexpr auto make_kernels(std::integer_sequence<int, N...>) {
  std::array<WeightKernel, sizeof...(N) * WeightUnit::kMostOutputs> kernels{};
  (set_row<Unit, N + 1>(kernels.data() + N * WeightUnit::kMostOutputs,
                        std::make_integer_sequence<int, Unit::kMostOutputs[N]>()),
   ...);
  return kernels;
}

template <typename Unit>
constexpr int kVectorsOf = static_cast<int>(std::size(Unit::kMostOutputs));

template <typename Unit>
constexpr auto kKernelsOf = make_kernels<Unit>(std::make_integer_sequence<int, kVectorsOf<Unit>>());

template <typename Unit>
constexpr WeightUnit kUnitOf{.lanes = Unit::kLanes,
                             .most_vectors = kVectorsOf<Unit>,
                             .most_outputs = Unit::kMostOutputs,
                             .kernels = kKernelsOf<Unit>.data()};

}  // namespace
}  // namespace detent::kernels
