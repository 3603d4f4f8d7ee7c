#pragma once

#include "detent/core/processor/intrinsics.h"
#include "detent/kernels/codes/rounding.h"

/// rne of the lanes of a vector, s32; of 256 bits as the processor's control word has it by default. REQUIRES: they
/// fit. Private to the kernels that make codes in registers.
#if defined(__x86_64__) && defined(__GNUC__)
namespace detent::kernels {

__attribute__((target("avx512f"))) inline __m512i round_lanes(__m512 x) {
  return _mm512_cvt_roundps_epi32(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

__attribute__((target("avx2"))) inline __m256i round_lanes(__m256 x) { return _mm256_cvtps_epi32(x); }

/// rne of the lanes, f32.
__attribute__((target("avx512f"))) inline __m512 round_in_place(__m512 x) {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

__attribute__((target("avx2"))) inline __m256 round_in_place(__m256 x) {
  return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

}  // namespace detent::kernels
#endif
