#include "detent/kernels/product/int8/pack.h"

#include "detent/core/processor/intrinsics.h"
#include "detent/core/processor/units.h"

namespace detent::kernels {

#if defined(__x86_64__) && defined(__GNUC__)
namespace {

#define DETENT_PACK __attribute__((target("avx2")))

/// Eight steps of an output.
template <int kCodeBytes>
DETENT_PACK __m256i load_steps(const std::int8_t* codes) {
  if constexpr (kCodeBytes == 1) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
  } else {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  }
}

/// Of four outputs, two steps a vector: 0 and 4, 1 and 5, 2 and 6, 3 and 7.
template <int kCodeBytes>
DETENT_PACK void transpose_four(const std::int8_t* codes, std::int64_t row, __m256i (&steps)[4]) {
  const __m256i first = load_steps<kCodeBytes>(codes), second = load_steps<kCodeBytes>(codes + row);
  const __m256i third = load_steps<kCodeBytes>(codes + 2 * row), fourth = load_steps<kCodeBytes>(codes + 3 * row);
  const __m256i low[2] = {_mm256_unpacklo_epi32(first, second), _mm256_unpacklo_epi32(third, fourth)};
  const __m256i high[2] = {_mm256_unpackhi_epi32(first, second), _mm256_unpackhi_epi32(third, fourth)};
  steps[0] = _mm256_unpacklo_epi64(low[0], low[1]);
  steps[1] = _mm256_unpackhi_epi64(low[0], low[1]);
  steps[2] = _mm256_unpacklo_epi64(high[0], high[1]);
  steps[3] = _mm256_unpackhi_epi64(high[0], high[1]);
}

template <int kCodeBytes>
DETENT_PACK std::int64_t pack_vectors(const std::int8_t* codes, std::int64_t row, std::int64_t count,
                                      std::int64_t stride, std::byte* packed) {
  constexpr std::int64_t kCodes = 32 / kCodeBytes;
  std::int64_t k = 0;
  for (; k + kCodes <= count; k += kCodes, packed += 8 * stride) {
    __m256i left[4], right[4];
    transpose_four<kCodeBytes>(codes + k, row, left);
    transpose_four<kCodeBytes>(codes + k + 4 * row, row, right);
    for (int step = 0; step < 4; ++step) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(packed + step * stride),
                          _mm256_permute2x128_si256(left[step], right[step], 0x20));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(packed + (step + 4) * stride),
                          _mm256_permute2x128_si256(left[step], right[step], 0x31));
    }
  }
  return k;
}

}  // namespace

std::int64_t pack_eight(const std::int8_t* codes, std::int64_t row, std::int64_t count, std::int64_t code_bytes,
                        std::int64_t stride, std::byte* packed) {
  if (!processor_units().avx2) {
    return 0;
  }
  return code_bytes == 1 ? pack_vectors<1>(codes, row, count, stride, packed)
                         : pack_vectors<2>(codes, row, count, stride, packed);
}
#else
std::int64_t pack_eight(const std::int8_t*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::byte*) {
  return 0;
}
#endif

}  // namespace detent::kernels
