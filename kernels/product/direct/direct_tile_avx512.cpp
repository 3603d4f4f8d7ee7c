#include "detent/kernels/product/direct/direct_tile.h"

#if defined(DETENT_HAS_DIRECT_TILES)

#include <cstring>

#define DETENT_DIRECT_TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#include "detent/kernels/product/direct/direct_tile_of.h"

namespace detent::kernels::direct {
namespace {

/// Products are written out because GCC 12 keeps sums in other registers, and copies, where an intrinsic is in a loop.
struct Avx512 {
  using Vector = __m512;
  using Mask = __mmask16;
  static constexpr std::int64_t kLanes = 16;
  static constexpr std::int64_t kPerGroup = 1;
  static constexpr int kLines[] = {4, 2};
  static constexpr int kColumns[] = {7, 7};

  DETENT_DIRECT_TARGET static Mask mask_of(std::int64_t outputs) { return static_cast<Mask>((1U << outputs) - 1U); }
  DETENT_DIRECT_TARGET static Vector zero() { return _mm512_setzero_ps(); }
  DETENT_DIRECT_TARGET static Vector load(const float* p) { return _mm512_loadu_ps(p); }
  DETENT_DIRECT_TARGET static Vector load(const float* p, Mask mask) { return _mm512_maskz_loadu_ps(mask, p); }
  DETENT_DIRECT_TARGET static void store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
  DETENT_DIRECT_TARGET static void store(float* p, Mask mask, Vector v) { _mm512_mask_storeu_ps(p, mask, v); }
  DETENT_DIRECT_TARGET static void store_bf16(bfloat16*, Mask, Vector) {}
  DETENT_DIRECT_TARGET static Vector broadcast(const std::byte* p) {
    float value = 0;
    std::memcpy(&value, p, sizeof(value));
    return _mm512_set1_ps(value);
  }
  DETENT_DIRECT_TARGET static void add_products(Vector& sum, Vector b, Vector w) {
    asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(b), "v"(w));
  }
  DETENT_DIRECT_TARGET static Vector add(Vector a, Vector b) { return _mm512_add_ps(a, b); }
  DETENT_DIRECT_TARGET static Vector positive(Vector v) { return _mm512_max_ps(v, _mm512_setzero_ps()); }
};

struct Avx512Bf16 : Avx512 {
  static constexpr std::int64_t kPerGroup = 2;

  DETENT_DIRECT_TARGET static void add_products(Vector& sum, Vector b, Vector w) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(b), "v"(w));
  }
  DETENT_DIRECT_TARGET static void store_bf16(bfloat16* p, Mask mask, Vector v) {
    __m256i rounded;
    asm("vcvtneps2bf16 %1, %0" : "=v"(rounded) : "v"(v));
    _mm256_mask_storeu_epi16(p, mask, rounded);
  }
};

}  // namespace

const Unit& avx512_unit() {
  static constexpr Unit unit = unit_of<Avx512>();
  return unit;
}

const Unit& avx512_bf16_unit() {
  static constexpr Unit unit = unit_of<Avx512Bf16>();
  return unit;
}

}  // namespace detent::kernels::direct

#endif
