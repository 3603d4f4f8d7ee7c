#pragma once

#if defined(__x86_64__) && defined(__GNUC__)

#include "detent/core/processor/intrinsics.h"
#include "detent/kernels/codes/requantize_tile.h"
#include "detent/kernels/codes/round_vector.h"

#define DETENT_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))

/// requantize() of sums in registers of 512 bits: see requantize_tile.h, whose functions these are the twins of.
namespace detent::kernels {

template <bool kBias>
DETENT_AVX512 inline __m512 unrounded(__m512i sum, const TileRequantization& r, int first) {
  __m512 value = _mm512_cvtepi32_ps(sum);
  if constexpr (kBias) {
    value = _mm512_add_ps(value, _mm512_loadu_ps(r.bias + first));
  }
  return _mm512_add_ps(_mm512_mul_ps(value, _mm512_loadu_ps(r.multiplier + first)), _mm512_set1_ps(r.zero_point));
}

/// rne((float(sum) + bias) * multiplier + zero_point) of 16 outputs, s32.
template <bool kBias>
DETENT_AVX512 inline __m512i requantize_vector(__m512i sum, const TileRequantization& r, int first) {
  return round_lanes(unrounded<kBias>(sum, r, first));
}

template <bool kBias>
DETENT_AVX512 inline __m512i requantize_and_add(__m512i sum, const TileRequantization& r, int first,
                                                const TileAddition& addition, const std::uint8_t* other) {
  const Addition& t = addition.maps;
  const __m512 raised = _mm512_max_ps(unrounded<kBias>(sum, r, first), _mm512_set1_ps(addition.lower));
  const __m512 own = round_in_place(_mm512_min_ps(raised, _mm512_set1_ps(addition.upper)));
  const __m512 a = _mm512_sub_ps(own, _mm512_set1_ps(static_cast<float>(t.a_zero)));
  const __m512i codes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(other)));
  const __m512 b = _mm512_cvtepi32_ps(_mm512_sub_epi32(codes, _mm512_set1_epi32(t.b_zero)));
  const __m512 total =
      _mm512_add_ps(_mm512_mul_ps(a, _mm512_set1_ps(t.a_multiplier)), _mm512_mul_ps(b, _mm512_set1_ps(t.b_multiplier)));
  return round_lanes(_mm512_add_ps(total, _mm512_set1_ps(t.zero_point)));
}

DETENT_AVX512 inline __m512i clamp_and_pack(const __m512i (&q)[4], const TileRequantization& r) {
  // Saturating packs work within quarters of a vector: afterwards the double words stand transposed.
  const __m512i transpose = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i words = _mm512_packus_epi16(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
  const __m512i codes = _mm512_permutexvar_epi32(transpose, words);
  return _mm512_min_epu8(_mm512_max_epu8(codes, _mm512_set1_epi8(static_cast<char>(r.lower))),
                         _mm512_set1_epi8(static_cast<char>(r.upper)));
}

struct Avx512Seen {
  using Mask = __mmask16;
  __m512 low, high;
  DETENT_AVX512 explicit Avx512Seen(const float* seen)
      : low(_mm512_loadu_ps(seen)), high(_mm512_loadu_ps(seen + kSeenLanes)) {}
  DETENT_AVX512 void store(float* seen) const {
    _mm512_storeu_ps(seen, low);
    _mm512_storeu_ps(seen + kSeenLanes, high);
  }
};

DETENT_AVX512 inline __mmask16 observe_vector(__m512i& sum, const TileRequantization& r, const TileObservation& o,
                                              int first, Avx512Seen& seen) {
  const __m512 positive = _mm512_set1_ps(o.positive);
  const __m512 value = _mm512_add_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(r.bias + first));
  const __m512 code =
      _mm512_add_ps(_mm512_mul_ps(value, _mm512_loadu_ps(r.multiplier + first)), _mm512_set1_ps(r.zero_point));
  __mmask16 mask = _mm512_cmp_ps_mask(value, positive, _CMP_GT_OQ);
  mask = _mm512_mask_cmp_ps_mask(mask, code, _mm512_set1_ps(o.inside.low), _CMP_GE_OQ);
  mask = _mm512_mask_cmp_ps_mask(mask, code, _mm512_set1_ps(o.inside.high), _CMP_LE_OQ);
  const __m512 real = _mm512_max_ps(_mm512_mul_ps(value, _mm512_loadu_ps(o.real_scale + first)), positive);
  seen.low = _mm512_min_ps(seen.low, real);
  seen.high = _mm512_max_ps(seen.high, real);
  sum = round_lanes(code);
  return mask;
}

}  // namespace detent::kernels
#endif
