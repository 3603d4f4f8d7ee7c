#include "detent/kernels/product/int8_tile.h"

#if defined(DETENT_HAS_INT8_TILES)

#include <array>
#include <cstring>
#include <utility>

namespace detent::kernels {
namespace {

DETENT_VNNI inline __m512i broadcast_four(const std::uint8_t* codes) {
  std::int32_t four = 0;
  std::memcpy(&four, codes, sizeof(four));
  return _mm512_set1_epi32(four);
}

/// sum += u8 codes times s8 weights, four a lane. Written out because GCC 12 keeps sums in other registers, and copies,
/// where the intrinsic is in a loop.
DETENT_VNNI inline void add_products(__m512i& sum, __m512i codes, __m512i weight) {
  asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weight));
}

/// Adds the products of kLines lines of kColumns pixels to `acc`, pixel by pixel of V vectors.
template <int kLines, int kColumns, int V>
DETENT_VNNI inline void multiply(const Int8Tile& t, __m512i (&acc)[kLines * kColumns][V]) {
#pragma GCC unroll 12
  for (int p = 0; p < kLines * kColumns; ++p) {
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      acc[p][v] = _mm512_loadu_si512(t.start + 16 * v);
    }
  }
  const std::int8_t* weight = t.weight;
  const std::int64_t stride = t.pixel_stride;
  for (std::int64_t row = 0; row < t.kernel_rows; ++row) {
    const std::uint8_t* x = t.x + row * t.kernel_row_stride;
    const std::uint8_t* const end = x + 4 * t.groups;
    for (; x != end; x += 4, weight += 64 * V) {
      __m512i w[V];
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        w[v] = _mm512_load_si512(weight + 64 * v);
      }
#pragma GCC unroll 2
      for (int line = 0; line < kLines; ++line) {
        const std::uint8_t* const pixels = x + line * t.line_stride;
#pragma GCC unroll 6
        for (int column = 0; column < kColumns; ++column) {
          const __m512i codes = broadcast_four(pixels + column * stride);
#pragma GCC unroll 4
          for (int v = 0; v < V; ++v) {
            add_products(acc[line * kColumns + column][v], codes, w[v]);
          }
        }
      }
    }
  }
}

template <int V, bool kBias>
DETENT_VNNI inline void store(const Int8Tile& t, int pixel, const __m512i (&sums)[V]) {
  _mm512_mask_storeu_epi8(t.y + pixel * t.y_stride, t.stored, requantize_tile<V, kBias>(sums, t.requantization));
}

template <int P, int V, bool kBias>
DETENT_VNNI void codes_tile(const Int8Tile& t) {
  __m512i acc[P][V];
  multiply<1, P, V>(t, acc);
#pragma GCC unroll 6
  for (int p = 0; p < P; ++p) {
    store<V, kBias>(t, p, acc[p]);
  }
}

template <int P, int V>
DETENT_VNNI void observed_tile(const Int8Tile& t) {
  __m512i acc[P][V];
  multiply<1, P, V>(t, acc);
  const TileObservation& o = t.observation;
  __m512 low = _mm512_loadu_ps(o.seen);
  __m512 high = _mm512_loadu_ps(o.seen + 16);
#pragma GCC unroll 6
  for (int p = 0; p < P; ++p) {
    __m512i q[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      __mmask16 mask = 0;
      q[v] = observe_vector(acc[p][v], t.requantization, o, 16 * v, mask, low, high);
      std::memcpy(o.mask + p * o.mask_stride + 2 * v, &mask, sizeof(mask));
    }
    _mm512_mask_storeu_epi8(t.y + p * t.y_stride, t.stored, clamp_and_pack<V>(q, t.requantization));
  }
  _mm512_storeu_ps(o.seen, low);
  _mm512_storeu_ps(o.seen + 16, high);
}

template <int kWindows, int V, bool kBias>
DETENT_VNNI void pooled_tile(const Int8Tile& t) {
  constexpr int kColumns = 2 * kWindows;
  __m512i acc[2 * kColumns][V];
  multiply<2, kColumns, V>(t, acc);
#pragma GCC unroll 3
  for (int p = 0; p < kWindows; ++p) {
    __m512i largest[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      const __m512i upper = _mm512_max_epi32(acc[2 * p][v], acc[2 * p + 1][v]);
      const __m512i lower = _mm512_max_epi32(acc[kColumns + 2 * p][v], acc[kColumns + 2 * p + 1][v]);
      largest[v] = _mm512_max_epi32(upper, lower);
    }
    store<V, kBias>(t, p, largest);
  }
}

/// The kernels of 1 to kPixels pixels, by number of vectors.
template <int V, bool kBias, std::size_t... P>
constexpr std::array<Int8Kernel, sizeof...(P)> codes_row(std::index_sequence<P...>) {
  return {&codes_tile<static_cast<int>(P) + 1, V, kBias>...};
}
template <int V, bool kBias, std::size_t... P>
constexpr std::array<Int8Kernel, sizeof...(P)> pooled_row(std::index_sequence<P...>) {
  return {&pooled_tile<static_cast<int>(P) + 1, V, kBias>...};
}

template <int V, std::size_t... P>
constexpr std::array<Int8Kernel, sizeof...(P)> observed_row(std::index_sequence<P...>) {
  return {&observed_tile<static_cast<int>(P) + 1, V>...};
}

using Pixels = std::make_index_sequence<kTilePixels>;
using Windows = std::make_index_sequence<kPooledTileWindows>;

template <bool kBias>
constexpr std::array<std::array<Int8Kernel, kTilePixels>, kTileVectors> kCodes{
    codes_row<1, kBias>(Pixels()), codes_row<2, kBias>(Pixels()), codes_row<3, kBias>(Pixels()),
    codes_row<4, kBias>(Pixels())};
constexpr std::array<std::array<Int8Kernel, kTilePixels>, kTileVectors> kObserved{
    observed_row<1>(Pixels()), observed_row<2>(Pixels()), observed_row<3>(Pixels()), observed_row<4>(Pixels())};
template <bool kBias>
constexpr std::array<std::array<Int8Kernel, kPooledTileWindows>, kPooledTileVectors> kPooled{
    pooled_row<1, kBias>(Windows()), pooled_row<2, kBias>(Windows())};

}  // namespace

Int8Kernel int8_kernel(int pixels, int vectors, bool has_bias) {
  const auto& table = has_bias ? kCodes<true> : kCodes<false>;
  return table[static_cast<std::size_t>(vectors - 1)][static_cast<std::size_t>(pixels - 1)];
}

Int8Kernel int8_observed_kernel(int pixels, int vectors) {
  return kObserved[static_cast<std::size_t>(vectors - 1)][static_cast<std::size_t>(pixels - 1)];
}

Int8Kernel int8_pooled_kernel(int windows, int vectors, bool has_bias) {
  const auto& table = has_bias ? kPooled<true> : kPooled<false>;
  return table[static_cast<std::size_t>(vectors - 1)][static_cast<std::size_t>(windows - 1)];
}

}  // namespace detent::kernels

#endif
