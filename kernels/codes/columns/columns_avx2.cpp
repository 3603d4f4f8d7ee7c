#include "detent/kernels/codes/columns/column_kernels.h"

#if defined(DETENT_HAS_COLUMN_KERNELS)

#include "detent/core/lanes.h"
#include "detent/core/processor/intrinsics.h"
#include "detent/kernels/codes/round_vector.h"

#define DETENT_COLUMNS __attribute__((target("avx2,fma")))
#include "detent/kernels/codes/columns/column_loops.h"

namespace detent::kernels {
namespace {

struct Avx2 {
  using Vector = __m256;
  using Mask = __m256;
  static constexpr int kLanes = 8, kMomentVectors = 2;

  DETENT_COLUMNS static Vector zero() { return _mm256_setzero_ps(); }
  DETENT_COLUMNS static Vector broadcast(float x) { return _mm256_set1_ps(x); }
  DETENT_COLUMNS static Vector load(const float* from) { return _mm256_loadu_ps(from); }
  DETENT_COLUMNS static Vector load(const Bf16Bits* from) {
    Lanes<float, kLanes> x;
    load_lanes<kLanes>(from, x);
    return reinterpret_cast<Vector>(x);
  }
  DETENT_COLUMNS static Vector load(const std::int8_t* from) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from))));
  }
  DETENT_COLUMNS static Vector load(const std::int32_t* from) { return _mm256_cvtepi32_ps(load_integers(from)); }
  DETENT_COLUMNS static Vector load_code(const std::uint8_t* from, std::int32_t zero_point) {
    const __m256i codes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(codes, _mm256_set1_epi32(zero_point)));
  }
  DETENT_COLUMNS static Mask mask(const std::uint8_t* bits) {
    const __m256i bit_of_lane = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    return _mm256_castsi256_ps(
        _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32(*bits), bit_of_lane), bit_of_lane));
  }
  DETENT_COLUMNS static Vector passed(Mask mask, Vector x) { return _mm256_and_ps(mask, x); }
  DETENT_COLUMNS static Vector add(Vector x, Vector y) { return _mm256_add_ps(x, y); }
  DETENT_COLUMNS static Vector subtract(Vector x, Vector y) { return _mm256_sub_ps(x, y); }
  DETENT_COLUMNS static Vector multiply(Vector x, Vector y) { return _mm256_mul_ps(x, y); }
  DETENT_COLUMNS static Vector multiply_add(Vector x, Vector y, Vector z) { return _mm256_fmadd_ps(x, y, z); }
  DETENT_COLUMNS static Vector smaller(Vector x, Vector y) { return _mm256_min_ps(x, y); }
  DETENT_COLUMNS static Vector larger(Vector x, Vector y) { return _mm256_max_ps(x, y); }
  DETENT_COLUMNS static Vector clamp(Vector x, Vector low, Vector high) { return smaller(larger(x, low), high); }
  DETENT_COLUMNS static Mask is_between(Vector x, Vector low, Vector high, Vector value, Vector positive) {
    const Mask inside = _mm256_and_ps(_mm256_cmp_ps(x, low, _CMP_GE_OQ), _mm256_cmp_ps(x, high, _CMP_LE_OQ));
    return _mm256_and_ps(inside, _mm256_cmp_ps(value, positive, _CMP_GT_OQ));
  }
  DETENT_COLUMNS static void store_mask(Mask mask, std::uint8_t* bits) {
    *bits = static_cast<std::uint8_t>(_mm256_movemask_ps(mask));
  }
  DETENT_COLUMNS static void store(Vector x, float* to) { _mm256_storeu_ps(to, x); }
  DETENT_COLUMNS static void store(Vector x, Bf16Bits* to) {
    store_lanes<kLanes>(reinterpret_cast<Lanes<float, kLanes>>(x), to);
  }
  DETENT_COLUMNS static void store_codes(Vector x, std::uint8_t* to) {
    const __m128i words = rounded_words(x);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(words, words));
  }
  DETENT_COLUMNS static void store_codes(Vector x, std::int8_t* to) {
    const __m128i words = rounded_words(x);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packs_epi16(words, words));
  }

  struct Moments {
    __m256d sum[2], squares[2];
    __m256i smallest, largest;

    DETENT_COLUMNS void load(const ColumnMoments& from, std::int64_t c) {
      for (int half = 0; half < 2; ++half) {
        sum[half] = _mm256_loadu_pd(from.sum + c + 4 * half);
        squares[half] = _mm256_loadu_pd(from.squares + c + 4 * half);
      }
      smallest = load_integers(from.smallest + c);
      largest = load_integers(from.largest + c);
    }
    DETENT_COLUMNS void include(const std::int32_t* acc) {
      const __m256i sums = load_integers(acc);
      const __m256d low = _mm256_cvtepi32_pd(_mm256_castsi256_si128(sums));
      const __m256d high = _mm256_cvtepi32_pd(_mm256_extracti128_si256(sums, 1));
      sum[0] = _mm256_add_pd(sum[0], low);
      sum[1] = _mm256_add_pd(sum[1], high);
      squares[0] = _mm256_fmadd_pd(low, low, squares[0]);
      squares[1] = _mm256_fmadd_pd(high, high, squares[1]);
      smallest = _mm256_min_epi32(smallest, sums);
      largest = _mm256_max_epi32(largest, sums);
    }
    DETENT_COLUMNS void store(const ColumnMoments& to, std::int64_t c) const {
      for (int half = 0; half < 2; ++half) {
        _mm256_storeu_pd(to.sum + c + 4 * half, sum[half]);
        _mm256_storeu_pd(to.squares + c + 4 * half, squares[half]);
      }
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to.smallest + c), smallest);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to.largest + c), largest);
    }
  };

 private:
  DETENT_COLUMNS static __m256i load_integers(const std::int32_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  DETENT_COLUMNS static __m128i rounded_words(Vector x) {
    const __m256i integers = round_lanes(x);
    return _mm_packs_epi32(_mm256_castsi256_si128(integers), _mm256_extracti128_si256(integers, 1));
  }
};

}  // namespace

DETENT_COLUMN_KERNELS(ColumnsAvx2, Avx2)

}  // namespace detent::kernels
#endif
