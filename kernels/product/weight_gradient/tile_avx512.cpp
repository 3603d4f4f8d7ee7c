#include "detent/kernels/product/weight_gradient/tile.h"

#if defined(DETENT_HAS_WEIGHT_TILES)

#include <algorithm>

#include "detent/core/processor/intrinsics.h"

#define DETENT_TILE __attribute__((target("avx512f,avx512bw,avx512vl")))
#include "detent/kernels/product/weight_gradient/tile_kernels.h"

namespace detent::kernels {
namespace {

struct Avx512 {
  using Vector = __m512;
  static constexpr std::int64_t kLanes = 16;
  static constexpr int kMostOutputs[] = {16, 12, 8, 6};

  DETENT_TILE static Vector load_sums(const float* from) { return _mm512_loadu_ps(from); }
  DETENT_TILE static void store_sums(Vector sums, float* to) { _mm512_storeu_ps(to, sums); }
  DETENT_TILE static Vector load(const std::uint32_t* from) { return _mm512_castsi512_ps(_mm512_loadu_si512(from)); }
  DETENT_TILE static Vector broadcast(const std::uint32_t* from) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(*from)));
  }
  DETENT_TILE static void add_product(Vector& sum, Vector factor, Vector vector) {
    sum = _mm512_fmadd_ps(factor, vector, sum);
  }
};

struct Bf16 : Avx512 {
  /// Written out because GCC 12 keeps sums in other registers, and copies, where the intrinsic is in a loop.
  DETENT_TILE static void add_product(Vector& sum, Vector factor, Vector vector) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(factor), "v"(vector));
  }
};

DETENT_TILE inline __m512i pair(__m256i first, __m256i second) {
  return _mm512_or_si512(_mm512_cvtepu16_epi32(first), _mm512_slli_epi32(_mm512_cvtepu16_epi32(second), 16));
}

DETENT_TILE inline __m256i load_half(const std::uint16_t* from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}

}  // namespace

const WeightUnit& weight_unit_avx512() { return kUnitOf<Avx512>; }
const WeightUnit& weight_unit_bf16() { return kUnitOf<Bf16>; }

DETENT_TILE void pair_pixels(const std::uint16_t* pixels, std::int64_t count, std::int64_t stride, std::int64_t columns,
                             std::uint32_t* words, std::int64_t word_stride) {
  const std::int64_t whole = columns / 16 * 16;
  const auto rest = static_cast<__mmask16>((1U << (columns - whole)) - 1);
  std::int64_t pixel = 0;
  for (; pixel + 2 <= count; pixel += 2, pixels += 2 * stride, words += word_stride) {
    const std::uint16_t* const second = pixels + stride;
    for (std::int64_t i = 0; i < whole; i += 16) {
      _mm512_storeu_si512(words + i, pair(load_half(pixels + i), load_half(second + i)));
    }
    if (rest != 0) {
      _mm512_mask_storeu_epi32(
          words + whole, rest,
          pair(_mm256_maskz_loadu_epi16(rest, pixels + whole), _mm256_maskz_loadu_epi16(rest, second + whole)));
    }
  }
  if (pixel < count) {
    std::copy_n(pixels, columns, words);
  }
}

DETENT_TILE void pair_vectors(const std::uint16_t* first, const std::uint16_t* second, std::int64_t count,
                              std::uint32_t* words) {
  for (std::int64_t i = 0; i < count; i += 16) {
    _mm512_storeu_si512(words + i, pair(load_half(first + i), load_half(second + i)));
  }
}

}  // namespace detent::kernels

#else

// Of processors without tiles, which take no pairs.
namespace detent::kernels {

void pair_pixels(const std::uint16_t* pixels, std::int64_t count, std::int64_t stride, std::int64_t columns,
                 std::uint32_t* words, std::int64_t word_stride) {
  for (std::int64_t pixel = 0; pixel < count; pixel += 2, pixels += 2 * stride, words += word_stride) {
    for (std::int64_t i = 0; i < columns; ++i) {
      const std::uint32_t second = pixel + 1 < count ? pixels[stride + i] : 0U;
      words[i] = pixels[i] | second << 16;
    }
  }
}

void pair_vectors(const std::uint16_t* first, const std::uint16_t* second, std::int64_t count, std::uint32_t* words) {
  for (std::int64_t i = 0; i < count; ++i) {
    words[i] = first[i] | std::uint32_t{second[i]} << 16;
  }
}

}  // namespace detent::kernels
#endif
