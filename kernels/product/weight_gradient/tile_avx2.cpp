#include "detent/kernels/product/weight_gradient/tile.h"

#if defined(DETENT_HAS_WEIGHT_TILES)

#include "detent/core/processor/intrinsics.h"

#define DETENT_TILE __attribute__((target("avx2,fma")))
#include "detent/kernels/product/weight_gradient/tile_kernels.h"

namespace detent::kernels {
namespace {

struct Avx2 {
  using Vector = __m256;
  static constexpr std::int64_t kLanes = 8;
  // Sums, vectors and a factor fill the sixteen registers.
  static constexpr int kMostOutputs[] = {12, 6, 4};

  DETENT_TILE static Vector load_sums(const float* from) { return _mm256_loadu_ps(from); }
  DETENT_TILE static void store_sums(Vector sums, float* to) { _mm256_storeu_ps(to, sums); }
  DETENT_TILE static Vector load(const std::uint32_t* from) {
    return _mm256_castsi256_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  DETENT_TILE static Vector broadcast(const std::uint32_t* from) {
    return _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(*from)));
  }
  DETENT_TILE static void add_product(Vector& sum, Vector factor, Vector vector) {
    sum = _mm256_fmadd_ps(factor, vector, sum);
  }
};

}  // namespace

const WeightUnit& weight_unit_avx2() { return kUnitOf<Avx2>; }

}  // namespace detent::kernels
#endif
