#if defined(__x86_64__) && defined(__GNUC__)

#include "detent/core/processor/intrinsics.h"

#define DETENT_WEIGHT_KERNEL __attribute__((target("avx2,fma")))
#define DETENT_WEIGHT_TILE [[gnu::always_inline]] DETENT_WEIGHT_KERNEL inline
#include "detent/kernels/product/hybrid/weight_only_loops.h"

namespace detent::kernels::weight_only {
namespace {

struct Avx2 {
  struct Vector {
    __m256 low, high;
  };
  struct Bytes {
    __m256i low, high;
  };
  static constexpr int kRows = 2;
  static constexpr int kSums = 2;

  DETENT_WEIGHT_TILE static Vector zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  DETENT_WEIGHT_TILE static Vector load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  DETENT_WEIGHT_TILE static Vector spread(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
  DETENT_WEIGHT_TILE static Vector multiply_add(const Vector& a, const Vector& b, const Vector& c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  DETENT_WEIGHT_TILE static Bytes load_bytes(const std::uint8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes))};
  }
  template <int kBits, int i>
  DETENT_WEIGHT_TILE static __m256 codes(__m256i bytes) {
    if constexpr (kBits == 8) {
      return _mm256_cvtepi32_ps(bytes);
    } else {
      const __m256i code = _mm256_and_si256(_mm256_srli_epi32(bytes, kBits * i), _mm256_set1_epi32((1 << kBits) - 1));
      return _mm256_cvtepi32_ps(_mm256_sub_epi32(code, _mm256_set1_epi32(1 << (kBits - 1))));
    }
  }
  template <int kBits, int i>
  DETENT_WEIGHT_TILE static Vector codes(const Bytes& bytes) {
    return {codes<kBits, i>(bytes.low), codes<kBits, i>(bytes.high)};
  }
  DETENT_WEIGHT_TILE static float sum(const Vector& v) {
    const __m256 eight = _mm256_add_ps(v.low, v.high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
};

}  // namespace

const Unit& avx2_unit() {
  static constexpr Unit unit = unit_of<Avx2>();
  return unit;
}

}  // namespace detent::kernels::weight_only

#endif
