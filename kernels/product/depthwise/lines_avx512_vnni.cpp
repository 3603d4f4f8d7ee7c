#include "detent/kernels/product/depthwise/line_kernels.h"

#if defined(DETENT_HAS_LINE_KERNELS)
#include "detent/kernels/codes/requantize_avx512.h"

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")
#include "detent/kernels/product/depthwise/line_loops.h"
#include "detent/kernels/product/depthwise/unit_avx512.h"

namespace detent::kernels::depthwise {
namespace {

/// Codes in 8 bits, four taps a lane.
struct Quads : Avx512 {
  static constexpr int kTaps = 4;

  /// In a register: as operands of two instructions they would be loaded twice, mostly from two lines of the cache.
  static I loaded(const std::uint8_t* x) {
    I codes = _mm512_loadu_si512(x);
    asm("" : "+v"(codes));
    return codes;
  }
  static void interleave(const std::uint8_t* x, const std::int64_t* offsets, I (&codes)[kTaps]) {
    const I a = loaded(x + offsets[0]), b = loaded(x + offsets[1]);
    const I c = loaded(x + offsets[2]), d = loaded(x + offsets[3]);
    const I ab_low = _mm512_unpacklo_epi8(a, b), ab_high = _mm512_unpackhi_epi8(a, b);
    const I cd_low = _mm512_unpacklo_epi8(c, d), cd_high = _mm512_unpackhi_epi8(c, d);
    codes[0] = _mm512_unpacklo_epi16(ab_low, cd_low);
    codes[1] = _mm512_unpackhi_epi16(ab_low, cd_low);
    codes[2] = _mm512_unpacklo_epi16(ab_high, cd_high);
    codes[3] = _mm512_unpackhi_epi16(ab_high, cd_high);
  }
  /// Written out because GCC 12 copies sums where the intrinsic is in a loop.
  static void add_products(I& sum, I codes, I weight) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(codes), "v"(weight));
  }
  static I to_bytes(const I (&q)[kTaps]) {
    return _mm512_packus_epi16(_mm512_packs_epi32(q[0], q[1]), _mm512_packs_epi32(q[2], q[3]));
  }
  static void store_bytes(std::uint8_t* y, I bytes, std::int64_t count) {
    _mm512_mask_storeu_epi8(y, ~std::uint64_t{0} >> (64 - count), bytes);
  }
  static std::uint64_t bits(const Flags (&flags)[kTaps]) {
    const auto words = [&](int v) {
      return _mm512_packs_epi32(_mm512_movm_epi32(flags[v]), _mm512_movm_epi32(flags[v + 1]));
    };
    return _mm512_movepi8_mask(_mm512_packs_epi16(words(0), words(2)));
  }
};

}  // namespace

constinit const LineKernels kAvx512VnniKernels = kernels_of<Quads>();

}  // namespace detent::kernels::depthwise
#pragma GCC pop_options
#endif
