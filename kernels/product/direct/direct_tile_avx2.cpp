#include "detent/kernels/product/direct/direct_tile.h"

#if defined(DETENT_HAS_DIRECT_TILES)

#include <cstring>

#define DETENT_DIRECT_TARGET __attribute__((target("avx2,fma")))
#include "detent/kernels/product/direct/direct_tile_of.h"

namespace detent::kernels::direct {
namespace {

struct Avx2 {
  using Vector = __m256;
  using Mask = __m256i;
  static constexpr std::int64_t kLanes = 8;
  static constexpr std::int64_t kPerGroup = 1;
  static constexpr int kLines[] = {2, 2};
  static constexpr int kColumns[] = {6, 3};

  DETENT_DIRECT_TARGET static Mask mask_of(std::int64_t outputs) {
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(outputs)), lanes);
  }
  DETENT_DIRECT_TARGET static Vector zero() { return _mm256_setzero_ps(); }
  DETENT_DIRECT_TARGET static Vector load(const float* p) { return _mm256_loadu_ps(p); }
  DETENT_DIRECT_TARGET static Vector load(const float* p, Mask mask) { return _mm256_maskload_ps(p, mask); }
  DETENT_DIRECT_TARGET static void store(float* p, Vector v) { _mm256_storeu_ps(p, v); }
  DETENT_DIRECT_TARGET static void store(float* p, Mask mask, Vector v) { _mm256_maskstore_ps(p, mask, v); }
  DETENT_DIRECT_TARGET static void store_bf16(bfloat16*, Mask, Vector) {}
  DETENT_DIRECT_TARGET static Vector broadcast(const std::byte* p) {
    float value = 0;
    std::memcpy(&value, p, sizeof(value));
    return _mm256_set1_ps(value);
  }
  DETENT_DIRECT_TARGET static void add_products(Vector& sum, Vector b, Vector w) {
    asm("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(b), "x"(w));
  }
  DETENT_DIRECT_TARGET static Vector add(Vector a, Vector b) { return _mm256_add_ps(a, b); }
  DETENT_DIRECT_TARGET static Vector positive(Vector v) { return _mm256_max_ps(v, _mm256_setzero_ps()); }
};

}  // namespace

const Unit& avx2_unit() {
  static constexpr Unit unit = unit_of<Avx2>();
  return unit;
}

}  // namespace detent::kernels::direct

#endif
