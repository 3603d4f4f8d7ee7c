#include "detent/kernels/product/bits/bit_planes.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "detent/core/processor/intrinsics.h"
#include "detent/core/processor/units.h"

namespace detent::kernels {
namespace {

static_assert(std::endian::native == std::endian::little);

/// Bit `plane` of eight codes, each in a byte of `codes`.
std::uint8_t bits_of_eight(std::uint64_t codes, int plane) {
  constexpr std::uint64_t kLowest = 0x0101010101010101;
  return static_cast<std::uint8_t>(((codes >> plane & kLowest) * 0x0102040810204080) >> 56);
}

/// The bits of up to 64 codes in each of two planes.
struct Planes {
  std::uint64_t lower = 0, upper = 0;
};

Planes planes_of(const std::uint8_t* codes, std::int64_t count) {
  Planes planes;
  for (std::int64_t i = 0; i < count; i += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, codes + i, static_cast<std::size_t>(std::min<std::int64_t>(8, count - i)));
    planes.lower |= std::uint64_t{bits_of_eight(eight, 0)} << i;
    planes.upper |= std::uint64_t{bits_of_eight(eight, 1)} << i;
  }
  return planes;
}

/// Eight bytes, whatever is needed: what comes behind is written later.
void store_bits(std::uint64_t bits, std::uint8_t* to) { std::memcpy(to, &bits, sizeof(bits)); }

/// Of pixels of up to 64 channels, or 64 channels of one pixel at a time. `of` gives the planes of some codes.
template <typename PlanesOfCodes>
[[gnu::always_inline]] inline bool pack(const std::uint8_t* codes, std::int64_t pixels, std::int64_t channels,
                                        const PlanesOf& to, PlanesOfCodes of) {
  const std::int64_t bytes = bytes_of_bits(channels);
  std::uint64_t any = 0;
  for (std::int64_t pixel = 0; pixel < pixels; ++pixel, codes += channels) {
    std::int64_t sum = 0;
    for (std::int64_t c = 0; c < channels; c += 64) {
      const std::int64_t count = std::min<std::int64_t>(64, channels - c);
      const Planes planes = of(codes + c, count);
      const std::int64_t at = pixel * bytes + c / 8;
      store_bits(planes.lower, to.lower + at);
      any |= planes.lower;
      sum += std::popcount(planes.lower);
      if (to.upper != nullptr) {
        store_bits(planes.upper, to.upper + at);
        sum += 2 * std::popcount(planes.upper);
      }
    }
    if (to.sums != nullptr) {
      to.sums[pixel] = static_cast<std::int32_t>(sum);
    }
  }
  return any != 0;
}

#if defined(__x86_64__) && defined(__GNUC__)
#define DETENT_PACK_512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,popcnt")))
#define DETENT_PACK_256 __attribute__((target("avx2,popcnt")))

struct PlanesAvx512 {
  DETENT_PACK_512 Planes operator()(const std::uint8_t* codes, std::int64_t count) const {
    const __mmask64 there = ~std::uint64_t{0} >> (64 - count);
    const __m512i all = _mm512_maskz_loadu_epi8(there, codes);
    return {_mm512_test_epi8_mask(all, _mm512_set1_epi8(1)), _mm512_test_epi8_mask(all, _mm512_set1_epi8(2))};
  }
};

struct PlanesAvx2 {
  DETENT_PACK_256 Planes operator()(const std::uint8_t* codes, std::int64_t count) const {
    if (count < 64) {
      return planes_of(codes, count);
    }
    const auto* const halves = reinterpret_cast<const __m256i*>(codes);
    const __m256i first = _mm256_loadu_si256(halves), second = _mm256_loadu_si256(halves + 1);
    return {bits_of(first, second, 7), bits_of(first, second, 6)};
  }

 private:
  /// The bits that a shift takes to the highest of their bytes.
  DETENT_PACK_256 static std::uint64_t bits_of(__m256i first, __m256i second, int shift) {
    const auto low = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_slli_epi16(first, shift)));
    const auto high = static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_slli_epi16(second, shift)));
    return std::uint64_t{high} << 32 | low;
  }
};

DETENT_PACK_512 bool pack_512(const std::uint8_t* codes, std::int64_t pixels, std::int64_t channels,
                              const PlanesOf& to) {
  return pack(codes, pixels, channels, to, PlanesAvx512());
}

DETENT_PACK_256 bool pack_256(const std::uint8_t* codes, std::int64_t pixels, std::int64_t channels,
                              const PlanesOf& to) {
  return pack(codes, pixels, channels, to, PlanesAvx2());
}
#endif

void fill_plane(bool bit, std::int64_t pixels, std::int64_t channels, std::uint8_t* to) {
  const std::int64_t bytes = bytes_of_bits(channels);
  std::fill_n(to, pixels * bytes, static_cast<std::uint8_t>(bit ? 0xFF : 0));
  const int rest = static_cast<int>(channels % 8);
  for (std::int64_t pixel = 0; bit && rest > 0 && pixel < pixels; ++pixel) {
    to[(pixel + 1) * bytes - 1] = static_cast<std::uint8_t>((1U << rest) - 1);
  }
}

}  // namespace

bool pack_planes(const std::uint8_t* codes, std::int64_t pixels, std::int64_t channels, const PlanesOf& to) {
#if defined(__x86_64__) && defined(__GNUC__)
  if (processor_units().avx512) {
    return pack_512(codes, pixels, channels, to);
  }
  if (processor_units().avx2) {
    return pack_256(codes, pixels, channels, to);
  }
#endif
  return pack(codes, pixels, channels, to, planes_of);
}

bool fill_planes(std::uint8_t code, std::int64_t pixels, std::int64_t channels, const PlanesOf& to) {
  fill_plane((code & 1) != 0, pixels, channels, to.lower);
  if (to.upper != nullptr) {
    fill_plane((code & 2) != 0, pixels, channels, to.upper);
  }
  if (to.sums != nullptr) {
    const int kept = to.upper != nullptr ? 3 : 1;
    std::fill_n(to.sums, pixels, static_cast<std::int32_t>((code & kept) * channels));
  }
  return pixels > 0 && (code & 1) != 0;
}

}  // namespace detent::kernels
