#if defined(__x86_64__) && defined(__GNUC__)

#include "detent/core/processor/intrinsics.h"

#define DETENT_WEIGHT_KERNEL __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define DETENT_WEIGHT_TILE [[gnu::always_inline]] DETENT_WEIGHT_KERNEL inline
#include "detent/kernels/product/hybrid/weight_only_loops.h"

namespace detent::kernels::weight_only {
namespace {

struct Avx512 {
  using Vector = __m512;
  using Bytes = __m512i;  // of fewer than 8 bits a byte in the low end of each lane; else the code
  static constexpr int kRows = 4;
  static constexpr int kSums = 8;

  DETENT_WEIGHT_TILE static Vector zero() { return _mm512_setzero_ps(); }
  DETENT_WEIGHT_TILE static Vector load(const float* p) { return _mm512_loadu_ps(p); }
  DETENT_WEIGHT_TILE static Vector spread(float value) { return _mm512_set1_ps(value); }
  DETENT_WEIGHT_TILE static Vector multiply_add(Vector a, Vector b, Vector c) { return _mm512_fmadd_ps(a, b, c); }
  DETENT_WEIGHT_TILE static Bytes load_bytes(const std::uint8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  template <int kBits, int i>
  DETENT_WEIGHT_TILE static Vector codes(Bytes bytes) {
    if constexpr (kBits == 8) {
      return _mm512_cvtepi32_ps(bytes);
    } else {
      // A permutation looks at the low four bits of a lane alone. Of 2 bits the upper two of them do not matter.
      const __m512 numbers = kBits == 4 ? _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7)
                                        : _mm512_setr_ps(-2, -1, 0, 1, -2, -1, 0, 1, -2, -1, 0, 1, -2, -1, 0, 1);
      return _mm512_permutexvar_ps(i == 0 ? bytes : _mm512_srli_epi32(bytes, kBits * i), numbers);
    }
  }
  DETENT_WEIGHT_TILE static float sum(Vector v) {
    const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
};

}  // namespace

const Unit& avx512_unit() {
  static constexpr Unit unit = unit_of<Avx512>();
  return unit;
}

}  // namespace detent::kernels::weight_only

#endif
