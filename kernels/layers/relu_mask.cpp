#include "detent/kernels/layers/relu_mask.h"

#include <cstdint>

#include "detent/core/float16.h"
#include "detent/core/processor/vectorized.h"

namespace detent::kernels {
namespace {

template <typename Y, typename From, typename To>
DETENT_VECTORIZED void mask(std::size_t n, const Y* y, const From* dy, To* dx) {
  DETENT_INDEPENDENT
  for (std::size_t i = 0; i < n; ++i) {
    const auto g = promote(dy[i]);
    demote(promote(y[i]) > 0 ? g : decltype(g){0}, &dx[i]);
  }
}

/// Between bf16 numbers the bits are only copied: a positive number's bits are a positive integer, infinity's the
/// largest.
DETENT_VECTORIZED void mask_bits(std::size_t n, const std::int16_t* y, const std::uint16_t* dy, std::uint16_t* dx) {
  constexpr std::int16_t kInfinity = 0x7f80;
  DETENT_INDEPENDENT
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint16_t g = dy[i];
    dx[i] = ((y[i] > 0) & (y[i] <= kInfinity)) ? g : std::uint16_t{0};
  }
}

}  // namespace

void mask_relu(std::span<const double> y, const double* dy, double* dx) { mask(y.size(), y.data(), dy, dx); }
void mask_relu(std::span<const float> y, const float* dy, float* dx) { mask(y.size(), y.data(), dy, dx); }
void mask_relu(std::span<const float> y, const float* dy, bfloat16* dx) { mask(y.size(), y.data(), dy, raw(dx)); }
void mask_relu(std::span<const float> y, const bfloat16* dy, float* dx) { mask(y.size(), y.data(), raw(dy), dx); }
void mask_relu(std::span<const float> y, const bfloat16* dy, bfloat16* dx) {
  mask(y.size(), y.data(), raw(dy), raw(dx));
}
void mask_relu(std::span<const bfloat16> y, const float* dy, float* dx) { mask(y.size(), raw(y.data()), dy, dx); }
void mask_relu(std::span<const bfloat16> y, const float* dy, bfloat16* dx) {
  mask(y.size(), raw(y.data()), dy, raw(dx));
}
void mask_relu(std::span<const bfloat16> y, const bfloat16* dy, float* dx) {
  mask(y.size(), raw(y.data()), raw(dy), dx);
}
void mask_relu(std::span<const bfloat16> y, const bfloat16* dy, bfloat16* dx) {
  mask_bits(y.size(), reinterpret_cast<const std::int16_t*>(y.data()), reinterpret_cast<const std::uint16_t*>(dy),
            reinterpret_cast<std::uint16_t*>(dx));
}

}  // namespace detent::kernels
