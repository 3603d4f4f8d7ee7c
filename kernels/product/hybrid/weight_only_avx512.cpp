#if defined(__x86_64__) && defined(__GNUC__)

#include <cstring>

#include "detent/core/dtype.h"
#include "detent/core/processor/intrinsics.h"

#define DETENT_WEIGHT_KERNEL __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define DETENT_WEIGHT_TILE [[gnu::always_inline]] DETENT_WEIGHT_KERNEL inline
#include "detent/kernels/product/hybrid/weight_only_loops.h"

namespace detent::kernels::weight_only {
namespace {

/// Codes are looked up: a permutation looks at the low bits of its index alone, so that a shift is all that brings a
/// code to its place. Products are written out because GCC 12 keeps sums in other registers, and copies, where an
/// intrinsic is in a loop.
struct Avx512 {
  using Vector = __m512;
  struct Word {
    __m512i even, odd;
  };
  using Number = float;
  static constexpr int kStep = 1;
  static constexpr int kRows = 6;
  static constexpr int kBlocks = 4;
  static constexpr int kRowBlocks = 4;

  DETENT_WEIGHT_TILE static Vector zero() { return _mm512_setzero_ps(); }
  DETENT_WEIGHT_TILE static Vector load(const float* p) { return _mm512_loadu_ps(p); }
  DETENT_WEIGHT_TILE static void store(float* p, Vector v) { _mm512_storeu_ps(p, v); }
  DETENT_WEIGHT_TILE static Vector spread_f32(const float* p) { return _mm512_set1_ps(*p); }
  DETENT_WEIGHT_TILE static Vector spread(const float* p) { return spread_f32(p); }
  DETENT_WEIGHT_TILE static void multiply_add(Vector& sum, Vector a, Vector b) {
    asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  }
  DETENT_WEIGHT_TILE static void add_products(Vector& sum, Vector a, Vector b) { multiply_add(sum, a, b); }
  DETENT_WEIGHT_TILE static Vector bytes(const std::uint8_t* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  }
  DETENT_WEIGHT_TILE static Word load_word(const std::uint8_t* p) {
    const __m512i word = _mm512_loadu_si512(p);
    return {word, _mm512_srli_epi32(word, 16)};
  }
  template <int kBits>
  DETENT_WEIGHT_TILE static Vector codes(const Word& word, int j, int s) {
    const __m512 numbers = kBits == 4 ? _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7)
                                      : _mm512_setr_ps(-2, -1, 0, 1, -2, -1, 0, 1, -2, -1, 0, 1, -2, -1, 0, 1);
    const __m512 opposite = kBits == 4 ? _mm512_setr_ps(8, 7, 6, 5, 4, 3, 2, 1, 0, -1, -2, -3, -4, -5, -6, -7)
                                       : _mm512_setr_ps(2, 1, 0, -1, 2, 1, 0, -1, 2, 1, 0, -1, 2, 1, 0, -1);
    return _mm512_permutexvar_ps(s == 0 ? word.even : word.odd, j % 2 == 0 ? numbers : opposite);
  }
  template <int kBits>
  DETENT_WEIGHT_TILE static void next(Word& word) {
    word = {_mm512_srli_epi32(word.even, kBits), _mm512_srli_epi32(word.odd, kBits)};
  }
};

/// Numbers and codes are pairs of bf16, in which codes are exact.
struct Avx512Bf16 : Avx512 {
  using Word = __m512i;
  using Number = bfloat16;
  static constexpr int kStep = 2;

  DETENT_WEIGHT_TILE static Vector spread(const bfloat16* p) {
    float pair = 0;
    std::memcpy(&pair, p, sizeof(pair));
    return _mm512_set1_ps(pair);
  }
  DETENT_WEIGHT_TILE static void add_products(Vector& sum, Vector a, Vector b) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  }
  DETENT_WEIGHT_TILE static Vector bytes(const std::uint8_t* p) {
    const __m512i even = _mm512_castps_si512(Avx512::bytes(p)), odd = _mm512_castps_si512(Avx512::bytes(p + kLanes));
    return _mm512_castsi512_ps(_mm512_mask_blend_epi16(0xAAAAAAAA, _mm512_srli_epi32(even, 16), odd));
  }
  DETENT_WEIGHT_TILE static Word load_word(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  /// What bf16 has for the codes -8 to 7, twice, or for their opposites: an index is five bits.
  template <int kBits>
  DETENT_WEIGHT_TILE static Vector codes(const Word& word, int j, int) {
    alignas(64) static constexpr std::uint16_t kNumbers[2][2][16] = {
        {{0xC000, 0xBF80, 0, 0x3F80, 0xC000, 0xBF80, 0, 0x3F80, 0xC000, 0xBF80, 0, 0x3F80, 0xC000, 0xBF80, 0, 0x3F80},
         {0x4000, 0x3F80, 0, 0xBF80, 0x4000, 0x3F80, 0, 0xBF80, 0x4000, 0x3F80, 0, 0xBF80, 0x4000, 0x3F80, 0, 0xBF80}},
        {{0xC100, 0xC0E0, 0xC0C0, 0xC0A0, 0xC080, 0xC040, 0xC000, 0xBF80, 0, 0x3F80, 0x4000, 0x4040, 0x4080, 0x40A0,
          0x40C0, 0x40E0},
         {0x4100, 0x40E0, 0x40C0, 0x40A0, 0x4080, 0x4040, 0x4000, 0x3F80, 0, 0xBF80, 0xC000, 0xC040, 0xC080, 0xC0A0,
          0xC0C0, 0xC0E0}}};
    const auto* const table = reinterpret_cast<const __m256i*>(kNumbers[kBits == 4 ? 1 : 0][j % 2]);
    const __m512i numbers = _mm512_broadcast_i64x4(_mm256_load_si256(table));
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(word, numbers));
  }
  template <int kBits>
  DETENT_WEIGHT_TILE static void next(Word& word) {
    word = _mm512_srli_epi32(word, kBits);
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

}  // namespace detent::kernels::weight_only

#endif
