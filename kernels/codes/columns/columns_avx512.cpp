#include "detent/kernels/codes/columns/column_kernels.h"

#if defined(DETENT_HAS_COLUMN_KERNELS)

#include <cstring>

#include "detent/core/lanes.h"
#include "detent/core/processor/intrinsics.h"
#include "detent/kernels/codes/round_vector.h"

#define DETENT_COLUMNS __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#include "detent/kernels/codes/columns/column_loops.h"

namespace detent::kernels {
namespace {

struct Avx512 {
  using Vector = __m512;
  using Mask = __mmask16;
  static constexpr int kLanes = 16, kMomentVectors = 4;

  DETENT_COLUMNS static Vector zero() { return _mm512_setzero_ps(); }
  DETENT_COLUMNS static Vector broadcast(float x) { return _mm512_set1_ps(x); }
  DETENT_COLUMNS static Vector load(const float* from) { return _mm512_loadu_ps(from); }
  DETENT_COLUMNS static Vector load(const Bf16Bits* from) {
    Lanes<float, kLanes> x;
    load_lanes<kLanes>(from, x);
    return reinterpret_cast<Vector>(x);
  }
  DETENT_COLUMNS static Vector load(const std::int8_t* from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
  }
  DETENT_COLUMNS static Vector load(const std::int32_t* from) { return _mm512_cvtepi32_ps(_mm512_loadu_si512(from)); }
  DETENT_COLUMNS static Vector load_code(const std::uint8_t* from, std::int32_t zero_point) {
    const __m512i codes = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(codes, _mm512_set1_epi32(zero_point)));
  }
  DETENT_COLUMNS static Mask mask(const std::uint8_t* bits) {
    Mask mask = 0;
    std::memcpy(&mask, bits, sizeof(mask));
    return mask;
  }
  DETENT_COLUMNS static Vector passed(Mask mask, Vector x) { return _mm512_maskz_mov_ps(mask, x); }
  DETENT_COLUMNS static Vector add(Vector x, Vector y) { return _mm512_add_ps(x, y); }
  DETENT_COLUMNS static Vector subtract(Vector x, Vector y) { return _mm512_sub_ps(x, y); }
  DETENT_COLUMNS static Vector multiply(Vector x, Vector y) { return _mm512_mul_ps(x, y); }
  DETENT_COLUMNS static Vector multiply_add(Vector x, Vector y, Vector z) { return _mm512_fmadd_ps(x, y, z); }
  DETENT_COLUMNS static Vector smaller(Vector x, Vector y) { return _mm512_min_ps(x, y); }
  DETENT_COLUMNS static Vector larger(Vector x, Vector y) { return _mm512_max_ps(x, y); }
  DETENT_COLUMNS static Vector clamp(Vector x, Vector low, Vector high) { return smaller(larger(x, low), high); }
  DETENT_COLUMNS static Mask is_between(Vector x, Vector low, Vector high, Vector value, Vector positive) {
    const Mask above = _mm512_mask_cmp_ps_mask(_mm512_cmp_ps_mask(value, positive, _CMP_GT_OQ), x, low, _CMP_GE_OQ);
    return _mm512_mask_cmp_ps_mask(above, x, high, _CMP_LE_OQ);
  }
  DETENT_COLUMNS static void store_mask(Mask mask, std::uint8_t* bits) { std::memcpy(bits, &mask, sizeof(mask)); }
  DETENT_COLUMNS static void store(Vector x, float* to) { _mm512_storeu_ps(to, x); }
  DETENT_COLUMNS static void store(Vector x, Bf16Bits* to) {
    store_lanes<kLanes>(reinterpret_cast<Lanes<float, kLanes>>(x), to);
  }
  template <typename Q>
  DETENT_COLUMNS static void store_codes(Vector x, Q* to) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(round_lanes(x)));
  }

  struct Moments {
    __m512d sum[2], squares[2];
    __m512i smallest, largest;

    DETENT_COLUMNS void load(const ColumnMoments& from, std::int64_t c) {
      for (int half = 0; half < 2; ++half) {
        sum[half] = _mm512_loadu_pd(from.sum + c + 8 * half);
        squares[half] = _mm512_loadu_pd(from.squares + c + 8 * half);
      }
      smallest = _mm512_loadu_si512(from.smallest + c);
      largest = _mm512_loadu_si512(from.largest + c);
    }
    DETENT_COLUMNS void include(const std::int32_t* acc) {
      const __m512i sums = _mm512_loadu_si512(acc);
      const __m512d low = _mm512_cvtepi32_pd(_mm512_castsi512_si256(sums));
      const __m512d high = _mm512_cvtepi32_pd(_mm512_extracti64x4_epi64(sums, 1));
      sum[0] = _mm512_add_pd(sum[0], low);
      sum[1] = _mm512_add_pd(sum[1], high);
      squares[0] = _mm512_fmadd_pd(low, low, squares[0]);
      squares[1] = _mm512_fmadd_pd(high, high, squares[1]);
      smallest = _mm512_min_epi32(smallest, sums);
      largest = _mm512_max_epi32(largest, sums);
    }
    DETENT_COLUMNS void store(const ColumnMoments& to, std::int64_t c) const {
      for (int half = 0; half < 2; ++half) {
        _mm512_storeu_pd(to.sum + c + 8 * half, sum[half]);
        _mm512_storeu_pd(to.squares + c + 8 * half, squares[half]);
      }
      _mm512_storeu_si512(to.smallest + c, smallest);
      _mm512_storeu_si512(to.largest + c, largest);
    }
  };
};

}  // namespace

DETENT_COLUMN_KERNELS(ColumnsAvx512, Avx512)

}  // namespace detent::kernels
#endif
