#if defined(__x86_64__) && defined(__GNUC__)

#include "detent/kernels/codes/requantize_avx2.h"

#define DETENT_TILE_KERNEL DETENT_AVX2
#define DETENT_TILE [[gnu::always_inline]] DETENT_AVX2 inline
#include "detent/kernels/product/bits/bit_tile_loops.h"

namespace detent::kernels {
namespace {

/// Bits are counted by looking up halves of bytes. Counts are signed bytes, four a lane.
struct Avx2Bits {
  using Vector = __m256i;
  using Counts = Vector;
  using Seen = Avx2Seen;
  static constexpr int kLanes = 8;
  static constexpr int kCodeBytes = 1;
  static constexpr int kMostGroups = 15;  // a byte counts up to 8 bits of a group
  static constexpr std::array kPixels{6};
  static constexpr std::array kWindows{1};

  DETENT_TILE static Vector zero() { return _mm256_setzero_si256(); }
  DETENT_TILE static Counts no_counts() { return zero(); }
  DETENT_TILE static Vector load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
  DETENT_TILE static void store(void* to, Vector v) { _mm256_storeu_si256(static_cast<__m256i*>(to), v); }
  DETENT_TILE static Vector broadcast_total(std::int32_t number) { return _mm256_set1_epi32(number); }
  DETENT_TILE static Vector broadcast(const std::uint8_t* codes) {
    std::int32_t bits = 0;
    std::memcpy(&bits, codes, sizeof(bits));
    return _mm256_set1_epi32(bits);
  }
  DETENT_TILE static Vector largest(Vector a, Vector b) { return _mm256_max_epi32(a, b); }
  DETENT_TILE static Vector add(Vector a, Vector b) { return _mm256_add_epi32(a, b); }
  DETENT_TILE static Vector subtract(Vector a, Vector b) { return _mm256_sub_epi32(a, b); }
  DETENT_TILE static void count(Counts& counts, Vector codes, Vector mask) {
    counts = _mm256_add_epi8(counts, bits_of(_mm256_and_si256(codes, mask)));
  }
  DETENT_TILE static void uncount(Counts& counts, Vector codes, Vector mask) {
    counts = _mm256_sub_epi8(counts, bits_of(_mm256_and_si256(codes, mask)));
  }
  DETENT_TILE static void add_counts(Vector& sums, Counts counts) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), counts);
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }

 private:
  DETENT_TILE static Counts bits_of(Vector v) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                           0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(0xF);
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(v, low)),
                           _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), low)));
  }
};

}  // namespace

const BitUnit& avx2_bit_unit() {
  static const BitUnit unit = bit_unit_of<Avx2Bits>({.group = 7.5, .row = 6, .pixel = 45});
  return unit;
}

}  // namespace detent::kernels

#endif
