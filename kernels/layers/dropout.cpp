#include "detent/kernels/layers/dropout.h"

#include "detent/core/conversion.h"
#include "detent/core/error.h"
#include "detent/core/processor/vectorized.h"
#include "detent/kernels/layers/elementwise.h"

namespace detent::kernels {
namespace {

void check_probability(double p) { check(p >= 0 && p <= 1, "dropout: expected p in [0, 1], got ", p); }

template <typename T>
T keep_scale(double p) {
  return p < 1 ? static_cast<T>(1.0 / (1.0 - p)) : T{0};
}

/// The bits of the eight elements from 8 * `byte` on.
std::uint8_t keep_bits(const RandomStream& stream, std::uint64_t byte, std::uint64_t threshold) {
  unsigned bits = 0;
  for (std::uint64_t half = 0; half < 2; ++half) {
    const auto words = stream.block_at(byte * 2 + half);
    for (std::uint64_t i = 0; i < 4; ++i) {
      bits |= (words[i] >= threshold ? 1U : 0U) << (half * 4 + i);
    }
  }
  return static_cast<std::uint8_t>(bits);
}

/// y = x * scale where the bit is set, else 0.
template <typename T>
DETENT_VECTORIZED void scale_kept(const T* x, std::int64_t n, T scale, const std::uint8_t* __restrict mask, T* y) {
  const std::int64_t whole = n / 8;
  for (std::int64_t byte = 0; byte < whole; ++byte) {
    const unsigned bits = mask[byte];
    DETENT_INDEPENDENT
    for (int bit = 0; bit < 8; ++bit) {
      const T scaled = x[byte * 8 + bit] * scale;
      y[byte * 8 + bit] = (bits & 1U << bit) != 0 ? scaled : T{0};
    }
  }
  for (std::int64_t i = whole * 8; i < n; ++i) {
    y[i] = (mask[i / 8] >> (i % 8) & 1) != 0 ? x[i] * scale : T{0};
  }
}

}  // namespace

template <typename T>
void dropout_forward(std::int64_t elements, const T* x, double p, const RandomStream& stream, std::uint8_t* mask,
                     T* y) {
  check_probability(p);
  const auto threshold = static_cast<std::uint64_t>(p * 0x1p32);
  const T scale = keep_scale<T>(p);
  for_each_slice(elements, [&](Range range) {
    for (std::int64_t byte = range.begin / 8; byte < (range.end + 7) / 8; ++byte) {
      const std::int64_t rest = range.end - byte * 8;
      const unsigned wanted = rest >= 8 ? 0xffU : (1U << rest) - 1U;
      mask[byte] = static_cast<std::uint8_t>(keep_bits(stream, static_cast<std::uint64_t>(byte), threshold) & wanted);
    }
    scale_kept(x + range.begin, range.size(), scale, mask + range.begin / 8, y + range.begin);
  });
}

template <typename T>
void dropout_backward(std::int64_t elements, const T* dy, double p, const std::uint8_t* mask, T* dx) {
  check_probability(p);
  const T scale = keep_scale<T>(p);
  for_each_slice(elements, [&](Range range) {
    scale_kept(dy + range.begin, range.size(), scale, mask + range.begin / 8, dx + range.begin);
  });
}

template void dropout_forward(std::int64_t, const float*, double, const RandomStream&, std::uint8_t*, float*);
template void dropout_forward(std::int64_t, const double*, double, const RandomStream&, std::uint8_t*, double*);
template void dropout_backward(std::int64_t, const float*, double, const std::uint8_t*, float*);
template void dropout_backward(std::int64_t, const double*, double, const std::uint8_t*, double*);

}  // namespace detent::kernels
