#include "detent/kernels/product/winner_lists.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "detent/core/lanes.h"
#include "detent/core/processor/intrinsics.h"
#include "detent/core/processor/units.h"
#include "detent/core/processor/vectorized.h"

namespace detent::kernels {
namespace {

/// Adds to each target the V vectors of its sources, each times its gradient.
template <int V, int kLanes>
[[gnu::always_inline]] inline void add_lists(const WinnerLists<float>& lists, const float* source, float* target) {
  for (std::int64_t list = 0; list < lists.count; ++list) {
    const std::int32_t end = lists.ends[list];
    std::int32_t i = lists.begins[list];
    if (i == end) {
      continue;
    }
    float* const to = target + lists.targets[list];
    Lanes<float, kLanes> sum[V];
#pragma GCC unroll 12
    for (int v = 0; v < V; ++v) {
      load_lanes<kLanes>(to + v * kLanes, sum[v]);
    }
    for (; i < end; ++i) {
      const float* const from = source + lists.at[i] * lists.step;
      const float g = lists.g[i];
#pragma GCC unroll 12
      for (int v = 0; v < V; ++v) {
        Lanes<float, kLanes> x;
        load_lanes<kLanes>(from + v * kLanes, x);
        sum[v] += g * x;
      }
    }
#pragma GCC unroll 12
    for (int v = 0; v < V; ++v) {
      store_lanes<kLanes>(sum[v], to + v * kLanes);
    }
  }
}

/// V vectors of 16 numbers.
template <int V>
DETENT_VECTORIZED void add_vectors(const WinnerLists<float>& lists, const float* source, float* target) {
  add_lists<V, 16>(lists, source, target);
}

#ifdef __x86_64__
#define DETENT_AVX2 __attribute__((target("avx2")))
#define DETENT_COMPRESS __attribute__((target("avx512f,avx512bw,avx512vl")))
#define DETENT_BF16 __attribute__((target("avx512f,avx512bw,avx512bf16")))

DETENT_COMPRESS inline void store(__m512 values, float* to) { _mm512_storeu_ps(to, values); }
/// Of numbers that bf16 has.
DETENT_COMPRESS inline void store(__m512 values, bfloat16* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                      _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(values), 16)));
}

template <typename G>
DETENT_COMPRESS std::int32_t select_by_vectors(const float* g, const std::uint8_t* argmax, std::uint8_t place,
                                               std::int64_t outputs, std::int32_t* at, G* chosen) {
  std::int32_t size = 0;
  __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  for (std::int64_t o = 0; o < outputs; o += kLanes, numbers = _mm512_add_epi32(numbers, _mm512_set1_epi32(kLanes))) {
    const auto all = static_cast<__mmask16>(outputs - o >= kLanes ? 0xffff : (1 << (outputs - o)) - 1);
    const __m512 values = _mm512_maskz_loadu_ps(all, g + o);
    const __m128i places = _mm_maskz_loadu_epi8(all, argmax + o);
    const __mmask16 won =
        _mm512_mask_cmp_ps_mask(_mm_mask_cmpeq_epi8_mask(all, places, _mm_set1_epi8(static_cast<char>(place))), values,
                                _mm512_setzero_ps(), _CMP_NEQ_UQ);
    _mm512_storeu_si512(at + size, _mm512_maskz_compress_epi32(won, numbers));
    store(_mm512_maskz_compress_ps(won, values), chosen + size);
    size += __builtin_popcount(won);
  }
  return size;
}

/// The same in registers of 256 bits: compilers make memory traffic of vectors that are twice as long.
template <int V>
DETENT_AVX2 void add_halves(const WinnerLists<float>& lists, const float* source, float* target) {
  add_lists<2 * V, 8>(lists, source, target);
}

/// Sums of 32 consecutive elements in the order in which the unpack instructions leave them: the first four of every
/// eight, and the second four.
struct UnpackedSums {
  __m512 first, second;
};

DETENT_BF16 inline UnpackedSums load_sums(const float* from) {
  const __m512 low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + 16);
  return {_mm512_shuffle_f32x4(low, high, 0b10'00'10'00), _mm512_shuffle_f32x4(low, high, 0b11'01'11'01)};
}

DETENT_BF16 inline void store_sums(const UnpackedSums& sums, float* to) {
  const __m512i low = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
  const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
  _mm512_storeu_ps(to, _mm512_permutex2var_ps(sums.first, low, sums.second));
  _mm512_storeu_ps(to + 16, _mm512_permutex2var_ps(sums.first, high, sums.second));
}

/// sums += g[0] * one + g[1] * other, for pairs `g` of gradients in every lane.
DETENT_BF16 inline void add_pair(UnpackedSums& sums, __m512i one, __m512i other, __m512i g) {
  asm("" : "+v"(other));  // keeps GCC from loading it twice: loads are what bounds this
  sums.first = _mm512_dpbf16_ps(sums.first, (__m512bh)_mm512_unpacklo_epi16(one, other), (__m512bh)g);
  sums.second = _mm512_dpbf16_ps(sums.second, (__m512bh)_mm512_unpackhi_epi16(one, other), (__m512bh)g);
}

/// R rows of B blocks of 32 elements.
template <int R, int B>
DETENT_BF16 void add_pairs(const WinnerLists<bfloat16>& lists, Rows rows, const bfloat16* source, float* target) {
  for (std::int64_t list = 0; list < lists.count; ++list) {
    const std::int32_t end = lists.ends[list];
    std::int32_t i = lists.begins[list];
    if (i == end) {
      continue;
    }
    float* const to = target + lists.targets[list];
    UnpackedSums sums[R][B];
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 3
      for (int b = 0; b < B; ++b) {
        sums[r][b] = load_sums(to + r * rows.target_stride + 32 * b);
      }
    }
    for (; i < end; i += 2) {
      const bfloat16* const one = source + lists.at[i] * lists.step;
      const bfloat16* const other = source + lists.at[i + 1] * lists.step;
      std::int32_t pair = 0;
      std::memcpy(&pair, lists.g + i, sizeof(pair));
#pragma GCC unroll 5
      for (int r = 0; r < R; ++r) {
#pragma GCC unroll 3
        for (int b = 0; b < B; ++b) {
          const std::int64_t place = r * rows.source_stride + 32 * b;
          add_pair(sums[r][b], _mm512_loadu_si512(one + place), _mm512_loadu_si512(other + place),
                   _mm512_set1_epi32(pair));
        }
      }
    }
#pragma GCC unroll 5
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 3
      for (int b = 0; b < B; ++b) {
        store_sums(sums[r][b], to + r * rows.target_stride + 32 * b);
      }
    }
  }
}
#else
template <typename G>
std::int32_t select_by_vectors(const float*, const std::uint8_t*, std::uint8_t, std::int64_t, std::int32_t*, G*) {
  return 0;
}
template <int V>
void add_halves(const WinnerLists<float>&, const float*, float*) {}
template <int R, int B>
void add_pairs(const WinnerLists<bfloat16>&, Rows, const bfloat16*, float*) {}
#endif

/// Lists the outputs whose winner is the pixel `place` of a window and whose gradient is not 0, and returns their
/// number. Up to kLanes elements behind them are overwritten.
template <typename G>
std::int32_t select(const float* g, const std::uint8_t* argmax, std::uint8_t place, std::int64_t outputs,
                    std::int32_t* at, G* chosen) {
  if (processor_units().avx512) {
    return select_by_vectors(g, argmax, place, outputs, at, chosen);
  }
  std::int32_t size = 0;
  for (std::int64_t o = 0; o < outputs; ++o) {
    // Written in any case, counted only where something flows: a branch would be mispredicted half the time.
    at[size] = static_cast<std::int32_t>(o);
    chosen[size] = G(g[o]);
    size += ((argmax[o] == place) & (g[o] != 0.0F)) ? 1 : 0;
  }
  return size;
}

}  // namespace

void add_winners(const WinnerLists<float>& lists, Rows rows, const float* source, float* target) {
  constexpr std::array kByVectors{&add_vectors<1>, &add_vectors<2>, &add_vectors<3>,
                                  &add_vectors<4>, &add_vectors<5>, &add_vectors<6>};
  constexpr std::array kByHalves{&add_halves<1>, &add_halves<2>, &add_halves<3>,
                                 &add_halves<4>, &add_halves<5>, &add_halves<6>};
  const ProcessorUnits& units = processor_units();
  const auto& by_vectors = units.avx2 && !units.avx512 ? kByHalves : kByVectors;
  for (std::int64_t row = 0; row < rows.count; ++row) {
    by_vectors[static_cast<std::size_t>(rows.vectors - 1)](lists, source + row * rows.source_stride,
                                                           target + row * rows.target_stride);
  }
}

void add_winners(const WinnerLists<bfloat16>& lists, Rows rows, const bfloat16* source, float* target) {
  using Add = void (*)(const WinnerLists<bfloat16>&, Rows, const bfloat16*, float*);
  constexpr Add kByBlocks[5][3] = {{&add_pairs<1, 1>, &add_pairs<1, 2>, &add_pairs<1, 3>},
                                   {},
                                   {&add_pairs<3, 1>, &add_pairs<3, 2>, &add_pairs<3, 3>},
                                   {},
                                   {&add_pairs<5, 1>}};
  // As many rows at a time as there are registers for their sums.
  const std::int64_t blocks = rows.vectors / 2;
  const std::int64_t at_once = rows.count <= 5 && kByBlocks[rows.count - 1][blocks - 1] != nullptr ? rows.count : 1;
  for (std::int64_t row = 0; row < rows.count; row += at_once) {
    kByBlocks[at_once - 1][blocks - 1](lists, rows, source + row * rows.source_stride,
                                       target + row * rows.target_stride);
  }
}

template <typename G>
void list_by_pixel(const float* g, const std::uint8_t* argmax, std::int64_t outputs, std::int64_t places,
                   const WinnerLists<G>& lists) {
  std::int32_t end = 0;
  for (std::int64_t list = 0; list < lists.count; ++list) {
    const std::int64_t window = list / places * outputs;
    lists.begins[list] = end;
    end += select(g + window, argmax + window, static_cast<std::uint8_t>(list % places), outputs, lists.at + end,
                  lists.g + end);
    lists.ends[list] = end++;
  }
}

template <typename G>
void list_by_output(const WinnerLists<G>& by_pixel, const WinnerLists<G>& lists) {
  std::copy_n(lists.begins, lists.count, lists.ends);
  for (std::int64_t pixel = 0; pixel < by_pixel.count; ++pixel) {
    const std::int32_t target = by_pixel.targets[pixel];
    for (std::int32_t i = by_pixel.begins[pixel]; i < by_pixel.ends[pixel]; ++i) {
      const std::int32_t end = lists.ends[by_pixel.at[i]]++;
      lists.at[end] = target;
      lists.g[end] = by_pixel.g[i];
    }
  }
}

void complete_pairs(const WinnerLists<bfloat16>& lists) {
  for (std::int64_t list = 0; list < lists.count; ++list) {
    const std::int32_t begin = lists.begins[list], end = lists.ends[list];
    lists.at[end] = lists.at[std::max(begin, end - 1)];
    lists.g[end] = bfloat16(0.0F);
    lists.ends[list] += (end - begin) & 1;
  }
}

template void list_by_pixel(const float*, const std::uint8_t*, std::int64_t, std::int64_t, const WinnerLists<float>&);
template void list_by_pixel(const float*, const std::uint8_t*, std::int64_t, std::int64_t,
                            const WinnerLists<bfloat16>&);
template void list_by_output(const WinnerLists<float>&, const WinnerLists<float>&);
template void list_by_output(const WinnerLists<bfloat16>&, const WinnerLists<bfloat16>&);

}  // namespace detent::kernels
