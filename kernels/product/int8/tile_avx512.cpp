#if defined(__x86_64__) && defined(__GNUC__)

#include "detent/kernels/codes/requantize_avx512.h"

#define DETENT_TILE_KERNEL DETENT_AVX512
#define DETENT_TILE [[gnu::always_inline]] DETENT_AVX512 inline
#include "detent/kernels/product/int8/tile_loops.h"

namespace detent::kernels {
namespace {

/// What both units of 512 bits share.
struct Bits512 {
  using Vector = __m512i;
  using Seen = Avx512Seen;
  static constexpr int kLanes = 16;
  static constexpr std::array kPixels{14, 14, 8, 6};
  static constexpr bool kSharesColumns = true;
  static constexpr std::array kWindows{6, 3};

  DETENT_TILE static Vector zero() { return _mm512_setzero_si512(); }
  DETENT_TILE static Vector load(const void* from) { return _mm512_loadu_si512(from); }
  DETENT_TILE static void store(void* to, Vector v) { _mm512_storeu_si512(to, v); }
  DETENT_TILE static Vector broadcast(const std::uint8_t* codes) {
    std::int32_t four = 0;
    std::memcpy(&four, codes, sizeof(four));
    return _mm512_set1_epi32(four);
  }
  DETENT_TILE static Vector largest(Vector a, Vector b) { return _mm512_max_epi32(a, b); }
  DETENT_TILE static Vector reals(Vector sum, const TileReals& r, int first) {
    const __m512 scaled = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), _mm512_loadu_ps(r.scale + first));
    const __m512 real =
        _mm512_add_ps(_mm512_mul_ps(scaled, _mm512_set1_ps(r.x_scale)), _mm512_loadu_ps(r.bias + first));
    return _mm512_castps_si512(_mm512_max_ps(real, _mm512_set1_ps(r.lowest)));
  }
};

struct Avx512Vnni : Bits512 {
  static constexpr int kCodeBytes = 1;
  /// sum += u8 codes times s8 weights, four a lane. Written out because GCC 12 keeps sums in other registers, and
  /// copies, where the intrinsic is in a loop.
  DETENT_TILE static void add_products(Vector& sum, Vector codes, Vector weight) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weight));
  }
};

/// Codes and weights are of 16 bits, since the 16-bit sums of products of bytes saturate.
struct Avx512 : Bits512 {
  static constexpr int kCodeBytes = 2;
  /// sum += codes times weights, two a lane.
  DETENT_TILE static void add_products(Vector& sum, Vector codes, Vector weight) {
    sum = _mm512_add_epi32(sum, _mm512_madd_epi16(codes, weight));
  }
};

}  // namespace

const Int8Unit& avx512_vnni_unit() {
  static const Int8Unit unit = unit_of<Avx512Vnni>();
  return unit;
}

const Int8Unit& avx512_unit() {
  static const Int8Unit unit = unit_of<Avx512>();
  return unit;
}

}  // namespace detent::kernels

#endif
