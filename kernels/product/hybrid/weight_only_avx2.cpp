#if defined(__x86_64__) && defined(__GNUC__)

#include "detent/core/processor/intrinsics.h"

#define DETENT_WEIGHT_KERNEL __attribute__((target("avx2,fma")))
#define DETENT_WEIGHT_TILE [[gnu::always_inline]] DETENT_WEIGHT_KERNEL inline
#include "detent/kernels/product/hybrid/weight_only_loops.h"

namespace detent::kernels::weight_only {
namespace {

/// Codes of fewer than 8 bits stay where they lie in their word and are converted there: code * 2^(bits * j) for pair
/// j, 2^(bits - 1) too large. So rows are multiplied by 2^(-bits * j), which is exact, with the opposite sign where
/// codes have it, and a sum starts with what makes up for that 2^(bits - 1): as much for as against, since signs
/// alternate.
struct Avx2 {
  struct Vector {
    __m256 low, high;
  };
  struct Word {
    __m256i low, high;          // numbers of even places
    __m256i odd_low, odd_high;  // of odd ones
    int mask;                   // where the pair lies
  };
  using Number = float;
  static constexpr int kStep = 1;
  static constexpr int kRows = 6;
  static constexpr int kBlocks = 1;
  static constexpr int kRowBlocks = 2;

  DETENT_WEIGHT_TILE static Vector zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  DETENT_WEIGHT_TILE static Vector load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  DETENT_WEIGHT_TILE static void store(float* p, const Vector& v) {
    _mm256_storeu_ps(p, v.low);
    _mm256_storeu_ps(p + 8, v.high);
  }
  DETENT_WEIGHT_TILE static Vector spread_f32(const float* p) {
    const __m256 number = _mm256_broadcast_ss(p);
    return {number, number};
  }
  DETENT_WEIGHT_TILE static Vector spread(const float* p) { return spread_f32(p); }
  DETENT_WEIGHT_TILE static void multiply_add(Vector& sum, const Vector& a, const Vector& b) {
    asm("vfmadd231ps %2, %1, %0" : "+x"(sum.low) : "x"(a.low), "x"(b.low));
    asm("vfmadd231ps %2, %1, %0" : "+x"(sum.high) : "x"(a.high), "x"(b.high));
  }
  DETENT_WEIGHT_TILE static void add_products(Vector& sum, const Vector& a, const Vector& b) {
    multiply_add(sum, a, b);
  }
  DETENT_WEIGHT_TILE static __m256 eight_bytes(const std::uint8_t* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
  }
  DETENT_WEIGHT_TILE static Vector bytes(const std::uint8_t* p) { return {eight_bytes(p), eight_bytes(p + 8)}; }
  DETENT_WEIGHT_TILE static Word load_word(const std::uint8_t* p) {
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32));
    return {low, high, _mm256_srli_epi32(low, 16), _mm256_srli_epi32(high, 16), 1};
  }
  template <int kBits>
  DETENT_WEIGHT_TILE static Vector codes(const Word& word, int, int s) {
    const __m256i mask = _mm256_set1_epi32(word.mask * ((1 << kBits) - 1));
    return {_mm256_cvtepi32_ps(_mm256_and_si256(s == 0 ? word.low : word.odd_low, mask)),
            _mm256_cvtepi32_ps(_mm256_and_si256(s == 0 ? word.high : word.odd_high, mask))};
  }
  template <int kBits>
  DETENT_WEIGHT_TILE static void next(Word& word) {
    word.mask <<= kBits;
  }
};

DETENT_WEIGHT_TILE float sum_of(__m256 v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

/// What a row's numbers are multiplied by, place by place of a word.
template <int kBits>
constexpr std::array<float, numbers_of_word(kBits)> factors() {
  std::array<float, numbers_of_word(kBits)> factors = {};
  for (std::size_t i = 0; i < factors.size(); ++i) {
    const float size = 1.0F / static_cast<float>(1U << (kBits * (i / 2)));
    factors[i] = i / 2 % 2 == 0 ? size : -size;
  }
  return factors;
}

template <int kBits>
DETENT_WEIGHT_KERNEL void prepare(const Chunk* chunks, std::int64_t count, const float* x, float* prepared,
                                  std::int64_t stride, float* start) {
  alignas(32) static constexpr auto kFactors = factors<kBits>();
  constexpr std::int64_t kNumbers = numbers_of_word(kBits);
  const __m256 sign = _mm256_setr_ps(1, 1, -1, -1, 1, 1, -1, -1);
  for (std::int64_t c = 0; c < count; ++c, prepared += stride) {
    const std::int64_t numbers = chunks[c].numbers;
    __m256 sums = _mm256_setzero_ps();
    std::int64_t i = 0;
    for (; i + 8 <= numbers; i += 8) {
      const __m256 eight = _mm256_loadu_ps(x + i);
      sums = _mm256_fmadd_ps(eight, sign, sums);
      _mm256_storeu_ps(prepared + i, _mm256_mul_ps(eight, _mm256_load_ps(kFactors.data() + i % kNumbers)));
    }
    float sum = sum_of(sums);
    for (; i < numbers; ++i) {
      sum += i / 2 % 2 == 0 ? x[i] : -x[i];
      prepared[i] = x[i] * kFactors[static_cast<std::size_t>(i % kNumbers)];
    }
    start[c] = -static_cast<float>(1 << (kBits - 1)) * sum;
    x += numbers;
  }
}

constexpr Unit prepared_unit() {
  Unit unit = unit_of<Avx2>();
  unit.prepare = {nullptr, &prepare<4>, &prepare<2>};
  return unit;
}

}  // namespace

const Unit& avx2_unit() {
  static constexpr Unit unit = prepared_unit();
  return unit;
}

}  // namespace detent::kernels::weight_only

#endif
