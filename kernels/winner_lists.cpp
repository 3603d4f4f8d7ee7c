#include "kernels/winner_lists.h"

#include <algorithm>

#include "kernels/target.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace detent::kernels {
namespace {

using Lanes = float __attribute__((vector_size(64)));
using LanesInMemory = float __attribute__((vector_size(64), aligned(4), may_alias));

template <int V>
DETENT_VECTORIZED void add_winners(const WinnerLists& lists, const float* source, float* target) {
  for (std::int64_t list = 0; list < lists.count; ++list) {
    const std::int32_t end = lists.ends[list];
    std::int32_t i = lists.begins[list];
    if (i == end) {
      continue;
    }
    auto* const to = reinterpret_cast<LanesInMemory*>(target + lists.targets[list]);
    Lanes sum[V];
#pragma GCC unroll 6
    for (int v = 0; v < V; ++v) {
      sum[v] = to[v];
    }
    for (; i < end; ++i) {
      const auto* const from = reinterpret_cast<const LanesInMemory*>(source + lists.at[i] * lists.step);
      const float g = lists.g[i];
#pragma GCC unroll 6
      for (int v = 0; v < V; ++v) {
        sum[v] += g * from[v];
      }
    }
#pragma GCC unroll 6
    for (int v = 0; v < V; ++v) {
      to[v] = sum[v];
    }
  }
}

#ifdef __x86_64__
__attribute__((target("avx512f,avx512bw,avx512vl"))) std::int32_t select_by_vectors(const float* g,
                                                                                    const std::uint8_t* argmax,
                                                                                    std::uint8_t place,
                                                                                    std::int64_t outputs,
                                                                                    std::int32_t* at, float* chosen) {
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
    _mm512_storeu_ps(chosen + size, _mm512_maskz_compress_ps(won, values));
    size += __builtin_popcount(won);
  }
  return size;
}
bool has_compress_vectors() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#else
std::int32_t select_by_vectors(const float*, const std::uint8_t*, std::uint8_t, std::int64_t, std::int32_t*, float*) {
  return 0;
}
bool has_compress_vectors() { return false; }
#endif

/// WinnerLists the outputs whose winner is the pixel `place` of a window and whose gradient is not 0, and returns their
/// number. Up to kLanes elements behind them are overwritten.
std::int32_t select(const float* g, const std::uint8_t* argmax, std::uint8_t place, std::int64_t outputs,
                    std::int32_t* at, float* chosen) {
  static const bool by_vectors = has_compress_vectors();
  if (by_vectors) {
    return select_by_vectors(g, argmax, place, outputs, at, chosen);
  }
  std::int32_t size = 0;
  for (std::int64_t o = 0; o < outputs; ++o) {
    // Written in any case, counted only where something flows: a branch would be mispredicted half the time.
    at[size] = static_cast<std::int32_t>(o);
    chosen[size] = g[o];
    size += (argmax[o] == place) & (g[o] != 0.0F) ? 1 : 0;
  }
  return size;
}

}  // namespace

void add_winners(const WinnerLists& lists, std::int64_t vectors, const float* source, float* target) {
  switch (vectors) {
    case 1:
      return add_winners<1>(lists, source, target);
    case 2:
      return add_winners<2>(lists, source, target);
    case 3:
      return add_winners<3>(lists, source, target);
    case 4:
      return add_winners<4>(lists, source, target);
    case 5:
      return add_winners<5>(lists, source, target);
    default:
      return add_winners<6>(lists, source, target);
  }
}

void list_by_pixel(const float* g, const std::uint8_t* argmax, std::int64_t outputs, std::int64_t places,
                   const WinnerLists& lists) {
  std::int32_t end = 0;
  for (std::int64_t list = 0; list < lists.count; ++list) {
    const std::int64_t window = list / places * outputs;
    lists.begins[list] = end;
    end += select(g + window, argmax + window, static_cast<std::uint8_t>(list % places), outputs, lists.at + end,
                  lists.g + end);
    lists.ends[list] = end;
  }
}

void list_by_output(const WinnerLists& by_pixel, const WinnerLists& lists) {
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

}  // namespace detent::kernels
