#pragma once

#if defined(__x86_64__) && defined(__GNUC__)

#include "detent/core/processor/intrinsics.h"
#include "detent/kernels/codes/requantize_tile.h"
#include "detent/kernels/codes/round_vector.h"

#define DETENT_AVX2 __attribute__((target("avx2")))

/// requantize() of sums in registers of 256 bits: see requantize_tile.h, whose functions these are the twins of.
namespace detent::kernels {

template <bool kBias>
DETENT_AVX2 inline __m256 unrounded(__m256i sum, const TileRequantization& r, int first) {
  __m256 value = _mm256_cvtepi32_ps(sum);
  if constexpr (kBias) {
    value = _mm256_add_ps(value, _mm256_loadu_ps(r.bias + first));
  }
  value = _mm256_mul_ps(value, _mm256_loadu_ps(r.multiplier + first));
  return _mm256_add_ps(value, _mm256_set1_ps(r.zero_point));
}

/// rne((float(sum) + bias) * multiplier + zero_point) of 8 outputs, s32.
template <bool kBias>
DETENT_AVX2 inline __m256i requantize_vector(__m256i sum, const TileRequantization& r, int first) {
  return round_lanes(unrounded<kBias>(sum, r, first));
}

template <bool kBias>
DETENT_AVX2 inline __m256i requantize_and_add(__m256i sum, const TileRequantization& r, int first,
                                              const TileAddition& addition, const std::uint8_t* other) {
  const Addition& t = addition.maps;
  const __m256 raised = _mm256_max_ps(unrounded<kBias>(sum, r, first), _mm256_set1_ps(addition.lower));
  const __m256 own = round_in_place(_mm256_min_ps(raised, _mm256_set1_ps(addition.upper)));
  const __m256 a = _mm256_sub_ps(own, _mm256_set1_ps(static_cast<float>(t.a_zero)));
  const __m256i codes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(other)));
  const __m256 b = _mm256_cvtepi32_ps(_mm256_sub_epi32(codes, _mm256_set1_epi32(t.b_zero)));
  const __m256 total =
      _mm256_add_ps(_mm256_mul_ps(a, _mm256_set1_ps(t.a_multiplier)), _mm256_mul_ps(b, _mm256_set1_ps(t.b_multiplier)));
  return round_lanes(_mm256_add_ps(total, _mm256_set1_ps(t.zero_point)));
}

DETENT_AVX2 inline __m256i clamp_and_pack(const __m256i (&q)[4], const TileRequantization& r) {
  // Saturating packs work within halves of a vector: afterwards the double words stand transposed.
  const __m256i transpose = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  const __m256i words = _mm256_packus_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
  const __m256i codes = _mm256_permutevar8x32_epi32(words, transpose);
  return _mm256_min_epu8(_mm256_max_epu8(codes, _mm256_set1_epi8(static_cast<char>(r.lower))),
                         _mm256_set1_epi8(static_cast<char>(r.upper)));
}

struct Avx2Seen {
  using Mask = std::uint8_t;
  __m256 low, high;
  DETENT_AVX2 explicit Avx2Seen(const float* seen)
      : low(_mm256_loadu_ps(seen)), high(_mm256_loadu_ps(seen + kSeenLanes)) {}
  DETENT_AVX2 void store(float* seen) const {
    _mm256_storeu_ps(seen, low);
    _mm256_storeu_ps(seen + kSeenLanes, high);
  }
};

DETENT_AVX2 inline std::uint8_t observe_vector(__m256i& sum, const TileRequantization& r, const TileObservation& o,
                                               int first, Avx2Seen& seen) {
  const __m256 positive = _mm256_set1_ps(o.positive);
  const __m256 value = _mm256_add_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(r.bias + first));
  const __m256 product = _mm256_mul_ps(value, _mm256_loadu_ps(r.multiplier + first));
  const __m256 code = _mm256_add_ps(product, _mm256_set1_ps(r.zero_point));
  const __m256 above = _mm256_cmp_ps(code, _mm256_set1_ps(o.inside.low), _CMP_GE_OQ);
  const __m256 below = _mm256_cmp_ps(code, _mm256_set1_ps(o.inside.high), _CMP_LE_OQ);
  const __m256 passes = _mm256_and_ps(_mm256_and_ps(above, below), _mm256_cmp_ps(value, positive, _CMP_GT_OQ));
  const __m256 real = _mm256_max_ps(_mm256_mul_ps(value, _mm256_loadu_ps(o.real_scale + first)), positive);
  seen.low = _mm256_min_ps(seen.low, real);
  seen.high = _mm256_max_ps(seen.high, real);
  sum = round_lanes(code);
  return static_cast<std::uint8_t>(_mm256_movemask_ps(passes));
}

}  // namespace detent::kernels
#endif
