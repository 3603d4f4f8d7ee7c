#include "detent/kernels/product/depthwise/line_kernels.h"

#if defined(DETENT_HAS_LINE_KERNELS)
#include "detent/kernels/codes/requantize_avx2.h"

#pragma GCC push_options
#pragma GCC target("avx2,fma")
#include "detent/kernels/product/depthwise/line_loops.h"

namespace detent::kernels::depthwise {
namespace {

/// AVX2, codes in 16 bits, two taps a lane.
struct Avx2 {
  using F = __m256;
  using I = __m256i;
  using Flags = __m256;
  static constexpr int kFloats = 8;
  static constexpr int kTaps = 2;

  static F zero() { return _mm256_setzero_ps(); }
  static F all(float x) { return _mm256_set1_ps(x); }
  static F load(const float* x) { return _mm256_loadu_ps(x); }
  static I load(const std::int32_t* x) { return _mm256_loadu_si256(reinterpret_cast<const I*>(x)); }
  static I load(const std::byte* x) { return _mm256_loadu_si256(reinterpret_cast<const I*>(x)); }
  static void store(float* y, F x) { _mm256_storeu_ps(y, x); }
  static void store(std::int32_t* y, I x) { _mm256_storeu_si256(reinterpret_cast<I*>(y), x); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F multiply(F a, F b) { return _mm256_mul_ps(a, b); }
  static F multiply_add(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F larger(F a, F b) { return _mm256_max_ps(a, b); }
  static F smaller(F a, F b) { return _mm256_min_ps(a, b); }
  static F to_float(I x) { return _mm256_cvtepi32_ps(x); }
  static I nearest(F x) { return round_lanes(x); }
  static Flags greater(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
  static Flags within(F x, F low, F high) {
    return _mm256_and_ps(_mm256_cmp_ps(x, low, _CMP_GE_OQ), _mm256_cmp_ps(x, high, _CMP_LE_OQ));
  }
  static Flags both(Flags a, Flags b) { return _mm256_and_ps(a, b); }
  static Flags first(std::int64_t) { return zero(); }
  static F larger(F a, F b, Flags) { return larger(a, b); }
  static F smaller(F a, F b, Flags) { return smaller(a, b); }

  static void interleave(const std::uint8_t* x, const std::int64_t* offsets, I (&codes)[kTaps]) {
    const auto wide = [&](int tap) {
      return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(x + offsets[tap])));
    };
    const I a = wide(0), b = wide(1);
    codes[0] = _mm256_unpacklo_epi16(a, b);
    codes[1] = _mm256_unpackhi_epi16(a, b);
  }
  static void add_products(I& sum, I codes, I weight) { sum = _mm256_add_epi32(sum, _mm256_madd_epi16(codes, weight)); }
  static __m128i to_bytes(const I (&q)[kTaps]) {
    const I words = _mm256_packs_epi32(q[0], q[1]);
    return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  }
  static __m128i clamped(__m128i bytes, std::uint8_t lower, std::uint8_t upper) {
    const __m128i raised = _mm_max_epu8(bytes, _mm_set1_epi8(static_cast<char>(lower)));
    return _mm_min_epu8(raised, _mm_set1_epi8(static_cast<char>(upper)));
  }
  // Blocks of sixteen channels are whole.
  static void store_bytes(std::uint8_t* y, __m128i bytes, std::int64_t) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y), bytes);
  }
  static std::uint64_t bits(const Flags (&flags)[kTaps]) {
    const I words = _mm256_packs_epi32(_mm256_castps_si256(flags[0]), _mm256_castps_si256(flags[1]));
    const I bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(words, words), 0b1000);
    return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm256_castsi256_si128(bytes)));
  }
};

}  // namespace

constinit const LineKernels kAvx2Kernels = kernels_of<Avx2>();

}  // namespace detent::kernels::depthwise
#pragma GCC pop_options
#endif
