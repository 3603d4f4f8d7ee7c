#include "detent/kernels/product/depthwise/line_kernels.h"

#if defined(DETENT_HAS_LINE_KERNELS)
#include "detent/kernels/codes/requantize_avx512.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,fma")
#include "detent/kernels/product/depthwise/line_loops.h"
#include "detent/kernels/product/depthwise/unit_avx512.h"

namespace detent::kernels::depthwise {
namespace {

/// Codes in 16 bits, two taps a lane.
struct Pairs : Avx512 {
  static constexpr int kTaps = 2;

  static void interleave(const std::uint8_t* x, const std::int64_t* offsets, I (&codes)[kTaps]) {
    const auto wide = [&](int tap) {
      return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + offsets[tap])));
    };
    const I a = wide(0), b = wide(1);
    codes[0] = _mm512_unpacklo_epi16(a, b);
    codes[1] = _mm512_unpackhi_epi16(a, b);
  }
  static void add_products(I& sum, I codes, I weight) { sum = _mm512_add_epi32(sum, _mm512_madd_epi16(codes, weight)); }
  static I to_bytes(const I (&q)[kTaps]) {
    const I words = _mm512_packs_epi32(q[0], q[1]);
    return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 0, 2, 4, 6), _mm512_packus_epi16(words, words));
  }
  static void store_bytes(std::uint8_t* y, I bytes, std::int64_t count) {
    _mm256_mask_storeu_epi8(y, ~std::uint32_t{0} >> (32 - count), _mm512_castsi512_si256(bytes));
  }
  static std::uint64_t bits(const Flags (&flags)[kTaps]) {
    return _mm512_movepi16_mask(_mm512_packs_epi32(_mm512_movm_epi32(flags[0]), _mm512_movm_epi32(flags[1])));
  }
};

}  // namespace

constinit const LineKernels kAvx512Kernels = kernels_of<Pairs>();

}  // namespace detent::kernels::depthwise
#pragma GCC pop_options
#endif
