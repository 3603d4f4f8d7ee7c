#if defined(__x86_64__) && defined(__GNUC__)

#include "detent/kernels/codes/requantize_avx512.h"

#define DETENT_TILE_KERNEL __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vpopcntdq")))
#define DETENT_TILE [[gnu::always_inline]] DETENT_TILE_KERNEL inline
#include "detent/kernels/product/bits/bit_tile_loops.h"

namespace detent::kernels {
namespace {

struct Avx512Bits {
  using Vector = __m512i;
  using Counts = Vector;
  using Seen = Avx512Seen;
  static constexpr int kLanes = 16;
  static constexpr int kCodeBytes = 1;
  static constexpr int kMostGroups = 0;
  static constexpr std::array kPixels{8, 8};
  static constexpr std::array kWindows{4, 2};

  DETENT_TILE static Vector zero() { return _mm512_setzero_si512(); }
  DETENT_TILE static Vector load(const void* from) { return _mm512_loadu_si512(from); }
  DETENT_TILE static void store(void* to, Vector v) { _mm512_storeu_si512(to, v); }
  DETENT_TILE static Vector broadcast_total(std::int32_t number) { return _mm512_set1_epi32(number); }
  DETENT_TILE static Vector broadcast(const std::uint8_t* codes) {
    std::int32_t bits = 0;
    std::memcpy(&bits, codes, sizeof(bits));
    return _mm512_set1_epi32(bits);
  }
  DETENT_TILE static Vector largest(Vector a, Vector b) { return _mm512_max_epi32(a, b); }
  DETENT_TILE static Vector add(Vector a, Vector b) { return _mm512_add_epi32(a, b); }
  DETENT_TILE static Vector subtract(Vector a, Vector b) { return _mm512_sub_epi32(a, b); }
  DETENT_TILE static void count(Counts& counts, Vector codes, Vector mask) {
    counts = _mm512_add_epi32(counts, _mm512_popcnt_epi32(_mm512_and_si512(codes, mask)));
  }
  DETENT_TILE static void uncount(Counts& counts, Vector codes, Vector mask) {
    counts = _mm512_sub_epi32(counts, _mm512_popcnt_epi32(_mm512_and_si512(codes, mask)));
  }
};

}  // namespace

const BitUnit& avx512_bit_unit() {
  static const BitUnit unit = bit_unit_of<Avx512Bits>({.group = 1.65, .row = 0, .pixel = 15});
  return unit;
}

}  // namespace detent::kernels

#endif
