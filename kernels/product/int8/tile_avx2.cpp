#if defined(__x86_64__) && defined(__GNUC__)

#include "detent/kernels/codes/requantize_avx2.h"

#define DETENT_TILE_KERNEL DETENT_AVX2
#define DETENT_TILE [[gnu::always_inline]] DETENT_AVX2 inline
#include "detent/kernels/product/int8/tile_loops.h"

namespace detent::kernels {
namespace {

/// What both units of 256 bits share. They have 16 registers.
struct Bits256 {
  using Vector = __m256i;
  using Seen = Avx2Seen;
  static constexpr int kLanes = 8;
  static constexpr std::array kPixels{12, 6};
  static constexpr bool kSharesColumns = false;
  static constexpr std::array kWindows{3, 1};

  DETENT_TILE static Vector zero() { return _mm256_setzero_si256(); }
  DETENT_TILE static Vector load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
  DETENT_TILE static void store(void* to, Vector v) { _mm256_storeu_si256(static_cast<__m256i*>(to), v); }
  DETENT_TILE static Vector broadcast(const std::uint8_t* codes) {
    std::int32_t bytes = 0;
    std::memcpy(&bytes, codes, sizeof(bytes));
    return _mm256_set1_epi32(bytes);
  }
  DETENT_TILE static Vector largest(Vector a, Vector b) { return _mm256_max_epi32(a, b); }
  DETENT_TILE static Vector reals(Vector sum, const TileReals& r, int first) {
    const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), _mm256_loadu_ps(r.scale + first));
    const __m256 real =
        _mm256_add_ps(_mm256_mul_ps(scaled, _mm256_set1_ps(r.x_scale)), _mm256_loadu_ps(r.bias + first));
    return _mm256_castps_si256(_mm256_max_ps(real, _mm256_set1_ps(r.lowest)));
  }
};

struct Avx2Vnni : Bits256 {
  static constexpr int kCodeBytes = 1;
  /// sum += u8 codes times s8 weights, four a lane.
  DETENT_TILE static void add_products(Vector& sum, Vector codes, Vector weight) {
    asm("%{vex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(codes), "x"(weight));
  }
};

/// Codes and weights are of 16 bits, since the 16-bit sums of products of bytes saturate.
struct Avx2 : Bits256 {
  static constexpr int kCodeBytes = 2;
  /// sum += codes times weights, two a lane.
  DETENT_TILE static void add_products(Vector& sum, Vector codes, Vector weight) {
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(codes, weight));
  }
};

}  // namespace

const Int8Unit& avx2_vnni_unit() {
  static const Int8Unit unit = unit_of<Avx2Vnni>();
  return unit;
}

const Int8Unit& avx2_unit() {
  static const Int8Unit unit = unit_of<Avx2>();
  return unit;
}

}  // namespace detent::kernels

#endif
