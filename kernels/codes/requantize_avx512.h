#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#define DETENT_HAS_INT8_TILES 1

#include <cstdint>

#include "detent/core/intrinsics.h"
#include "detent/kernels/codes/rounding.h"

#define DETENT_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

/// requantize() of sums that lie in registers, the same operations in the same order. Private to int8_*.cpp.
namespace detent::kernels {

/// The constants of 64 outputs at most, for `requantize_tile`.
///
/// REQUIRES: |(sum + bias) * multiplier + zero_point| < 2^31, so that the conversion does not overflow; then clamping
/// the rounded integers is clamping before rounding, since the bounds are integers.
struct TileRequantization {
  const float* bias = nullptr;  ///< null where the sums have it in them already
  const float* multiplier = nullptr;
  float zero_point = 0;
  std::uint8_t lower = 0, upper = 255;
};

/// rne((float(sum) + bias) * multiplier + zero_point) of 16 outputs, s32.
template <bool kBias>
DETENT_VNNI inline __m512i requantize_vector(__m512i sum, const TileRequantization& r, int first) {
  __m512 value = _mm512_cvtepi32_ps(sum);
  if constexpr (kBias) {
    value = _mm512_add_ps(value, _mm512_loadu_ps(r.bias + first));
  }
  value = _mm512_add_ps(_mm512_mul_ps(value, _mm512_loadu_ps(r.multiplier + first)), _mm512_set1_ps(r.zero_point));
  return _mm512_cvt_roundps_epi32(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/// Rounded codes of 16 * V outputs, clamped, in the low 16 * V bytes. REQUIRES: q is 0 from V on.
template <int V>
DETENT_VNNI inline __m512i clamp_and_pack(const __m512i (&q)[4], const TileRequantization& r) {
  // Saturating packs work within quarters of a vector: afterwards the double words stand transposed.
  const __m512i transpose = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i low = _mm512_packs_epi32(q[0], q[1]);
  const __m512i high = V > 2 ? _mm512_packs_epi32(q[2], q[3]) : _mm512_setzero_si512();
  const __m512i codes = _mm512_permutexvar_epi32(transpose, _mm512_packus_epi16(low, high));
  return _mm512_min_epu8(_mm512_max_epu8(codes, _mm512_set1_epi8(static_cast<char>(r.lower))),
                         _mm512_set1_epi8(static_cast<char>(r.upper)));
}

/// The codes of 16 * V outputs, clamped, in the low 16 * V bytes.
template <int V, bool kBias>
DETENT_VNNI inline __m512i requantize_tile(const __m512i (&sums)[V], const TileRequantization& r) {
  __m512i q[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512()};
#pragma GCC unroll 4
  for (int v = 0; v < V; ++v) {
    q[v] = requantize_vector<kBias>(sums[v], r, 16 * v);
  }
  return clamp_and_pack<V>(q, r);
}

/// What training wants of a tile beside its codes: see requantize().
struct TileObservation {
  const float* real_scale = nullptr;
  float positive = 0;            ///< what a real value must exceed for its gradient to pass
  Inside inside{0, 0};           ///< the codes before clamping whose gradient passes
  float* seen = nullptr;         ///< [2][16]: the smallest and largest real values so far, by lane
  std::uint8_t* mask = nullptr;  ///< of the first pixel
  std::int64_t mask_stride = 0;  ///< bytes from pixel to pixel
};

/// 16 outputs from `first` on: their codes before clamping; adds what was seen to `low` and `high`, and gives the mask.
DETENT_VNNI inline __m512i observe_vector(__m512i sum, const TileRequantization& r, const TileObservation& o, int first,
                                          __mmask16& mask, __m512& low, __m512& high) {
  const __m512 positive = _mm512_set1_ps(o.positive);
  const __m512 value = _mm512_add_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(r.bias + first));
  const __m512 code =
      _mm512_add_ps(_mm512_mul_ps(value, _mm512_loadu_ps(r.multiplier + first)), _mm512_set1_ps(r.zero_point));
  mask = _mm512_cmp_ps_mask(value, positive, _CMP_GT_OQ);
  mask = _mm512_mask_cmp_ps_mask(mask, code, _mm512_set1_ps(o.inside.low), _CMP_GE_OQ);
  mask = _mm512_mask_cmp_ps_mask(mask, code, _mm512_set1_ps(o.inside.high), _CMP_LE_OQ);
  const __m512 real = _mm512_max_ps(_mm512_mul_ps(value, _mm512_loadu_ps(o.real_scale + first)), positive);
  low = _mm512_min_ps(low, real);
  high = _mm512_max_ps(high, real);
  return _mm512_cvt_roundps_epi32(code, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

}  // namespace detent::kernels
#endif
