#pragma once

#include <cstdint>

#include "detent/core/processor/intrinsics.h"

// AVX-512 for the templates of line_loops.h; see there for how it is included.

namespace detent::kernels::depthwise {
namespace {

struct Avx512 {
  using F = __m512;
  using I = __m512i;
  using Flags = __mmask16;
  static constexpr int kFloats = 16;

  static F zero() { return _mm512_setzero_ps(); }
  static F all(float x) { return _mm512_set1_ps(x); }
  static F load(const float* x) { return _mm512_loadu_ps(x); }
  static I load(const std::int32_t* x) { return _mm512_loadu_si512(x); }
  static I load(const std::byte* x) { return _mm512_loadu_si512(x); }
  static void store(float* y, F x) { _mm512_storeu_ps(y, x); }
  static void store(std::int32_t* y, I x) { _mm512_storeu_si512(y, x); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F multiply(F a, F b) { return _mm512_mul_ps(a, b); }
  static F multiply_add(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  /// a > b ? a : b, and a < b ? a : b; those of two lanes where `where` says so, else a.
  static F larger(F a, F b) { return _mm512_max_ps(a, b); }
  static F smaller(F a, F b) { return _mm512_min_ps(a, b); }
  static F larger(F a, F b, Flags where) { return _mm512_mask_max_ps(a, where, a, b); }
  static F smaller(F a, F b, Flags where) { return _mm512_mask_min_ps(a, where, a, b); }
  static F to_float(I x) { return _mm512_cvtepi32_ps(x); }
  static I nearest(F x) { return round_lanes(x); }
  static I clamped(I bytes, std::uint8_t lower, std::uint8_t upper) {
    const I raised = _mm512_max_epu8(bytes, _mm512_set1_epi8(static_cast<char>(lower)));
    return _mm512_min_epu8(raised, _mm512_set1_epi8(static_cast<char>(upper)));
  }
  static Flags greater(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
  static Flags within(F x, F low, F high) {
    return _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(x, low, _CMP_GE_OQ), x, high, _CMP_LE_OQ);
  }
  static Flags both(Flags a, Flags b) { return static_cast<Flags>(a & b); }
  static Flags first(std::int64_t lanes) { return static_cast<Flags>((1U << lanes) - 1U); }
};

}  // namespace
}  // namespace detent::kernels::depthwise
