#include "detent/kernels/product/int8/half_tile.h"

#include "detent/core/processor/units.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include "detent/kernels/codes/requantize_avx512.h"

#define DETENT_TILE_KERNEL DETENT_AVX512
#define DETENT_TILE [[gnu::always_inline]] DETENT_AVX512 inline
#include "detent/kernels/product/int8/tile_loops.h"

namespace detent::kernels {
namespace {

struct Avx512VnniHalves {
  using Vector = __m512i;
  static constexpr int kLanes = 16;
  static constexpr int kCodeBytes = 1;
  static constexpr int kPlanes = 0;  // has its own `multiply`, as units of bit planes do
  static constexpr std::array kPixels{14, 12, 8, 6};

  DETENT_TILE static Vector zero() { return _mm512_setzero_si512(); }
  DETENT_TILE static Vector load(const void* from) { return _mm512_loadu_si512(from); }
  DETENT_TILE static void store(void* to, Vector v) { _mm512_storeu_si512(to, v); }

  template <int kLines, int kColumns, int V>
  DETENT_TILE static void multiply(const Int8Tile& t, Vector (&acc)[kLines * kColumns][V]) {
    static_assert(kLines == 1);
#pragma GCC unroll 32
    for (int p = 0; p < kColumns; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        acc[p][v] = zero();
      }
    }
    const std::int8_t* weight = t.weight;
    const std::uint8_t* x = t.x;
    for (std::int64_t i = 0; i < t.groups / 2; ++i, x += 8, weight += 4 * kLanes * V) {
      add_group<false, kColumns, V>(x, t.pixel_stride, weight, acc);
      add_group<true, kColumns, V>(x + 4, t.pixel_stride, weight, acc);
    }
    if (t.groups % 2 > 0) {
      add_group<false, kColumns, V>(x, t.pixel_stride, weight, acc);
    }
#pragma GCC unroll 32
    for (int p = 0; p < kColumns; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        acc[p][v] = _mm512_add_epi32(_mm512_srai_epi32(acc[p][v], 4), load(t.start + kLanes * v));
      }
    }
  }

 private:
  /// 16 times the numbers in one of the halves of each byte.
  template <bool kUpper>
  DETENT_TILE static Vector halves_of(Vector both) {
    return _mm512_and_si512(kUpper ? both : _mm512_slli_epi16(both, 4), _mm512_set1_epi8(-16));
  }

  /// acc += 16 times the products of a group of codes and the weights in one of the halves.
  template <bool kUpper, int P, int V>
  DETENT_TILE static void add_group(const std::uint8_t* x, std::int64_t stride, const std::int8_t* weight,
                                    Vector (&acc)[P][V]) {
    constexpr int kNear = 8;
    const std::uint8_t* const far = x + kNear * stride;
    Vector w[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      w[v] = halves_of<kUpper>(load(weight + 4 * kLanes * v));
    }
#pragma GCC unroll 32
    for (int p = 0; p < P; ++p) {
      std::int32_t four = 0;
      std::memcpy(&four, p < kNear ? x + p * stride : far + (p - kNear) * stride, sizeof(four));
      const Vector codes = _mm512_set1_epi32(four);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) {
        // Written out for the reason that tile_avx512.cpp gives.
        asm("vpdpbusd %2, %1, %0" : "+v"(acc[p][v]) : "v"(codes), "v"(w[v]));
      }
    }
  }
};

Int8Unit make_unit() {
  return {.lanes = Avx512VnniHalves::kLanes,
          .code_bytes = Avx512VnniHalves::kCodeBytes,
          .codes = kernels_of<Codes<Avx512VnniHalves, false>>(),
          .biased_codes = kernels_of<Codes<Avx512VnniHalves, true>>(),
          .added = kernels_of<Added<Avx512VnniHalves, false>>(),
          .biased_added = kernels_of<Added<Avx512VnniHalves, true>>(),
          .observed = {},
          .pooled = {},
          .biased_pooled = {},
          .sums = {},
          .reals = {},
          .pooled_reals = {}};
}

}  // namespace

const Int8Unit* half_unit() {
  static const Int8Unit unit = make_unit();
  return processor_units().avx512_vnni ? &unit : nullptr;
}

}  // namespace detent::kernels

#else

namespace detent::kernels {

const Int8Unit* half_unit() { return nullptr; }

}  // namespace detent::kernels

#endif
