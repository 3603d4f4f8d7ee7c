#include "kernels/relu_mask.h"

#include <bit>
#include <cstdint>

#include "kernels/target.h"

namespace detent::kernels {
namespace {

// The same number in bf16, to nearest, ties to even; NaN stays NaN. On bits, so that the loops vectorize.
inline std::uint16_t bf16_bits(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const std::uint32_t nan = (bits >> 16) | 0x40U;
  return static_cast<std::uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? nan : rounded);
}

inline float from_bits(std::uint16_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16); }

DETENT_VECTORIZED void f32_to_f32(std::size_t n, const float* y, const float* dy, float* dx) {
  for (std::size_t i = 0; i < n; ++i) {
    const float g = dy[i];
    dx[i] = y[i] > 0 ? g : 0.0F;
  }
}

DETENT_VECTORIZED void f32_to_bf16(std::size_t n, const float* y, const float* dy, std::uint16_t* dx) {
  for (std::size_t i = 0; i < n; ++i) {
    const float g = dy[i];
    dx[i] = bf16_bits(y[i] > 0 ? g : 0.0F);
  }
}

DETENT_VECTORIZED void bf16_to_f32(std::size_t n, const float* y, const std::uint16_t* dy, float* dx) {
  for (std::size_t i = 0; i < n; ++i) {
    const float g = from_bits(dy[i]);
    dx[i] = y[i] > 0 ? g : 0.0F;
  }
}

DETENT_VECTORIZED void bf16_to_bf16(std::size_t n, const float* y, const std::uint16_t* dy, std::uint16_t* dx) {
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint16_t g = dy[i];
    dx[i] = y[i] > 0 ? g : std::uint16_t{0};
  }
}

std::uint16_t* bits_of(bfloat16* x) { return reinterpret_cast<std::uint16_t*>(x); }
const std::uint16_t* bits_of(const bfloat16* x) { return reinterpret_cast<const std::uint16_t*>(x); }

}  // namespace

void mask_relu(std::span<const float> y, const float* dy, float* dx) { f32_to_f32(y.size(), y.data(), dy, dx); }
void mask_relu(std::span<const float> y, const float* dy, bfloat16* dx) {
  f32_to_bf16(y.size(), y.data(), dy, bits_of(dx));
}
void mask_relu(std::span<const float> y, const bfloat16* dy, float* dx) {
  bf16_to_f32(y.size(), y.data(), bits_of(dy), dx);
}
void mask_relu(std::span<const float> y, const bfloat16* dy, bfloat16* dx) {
  bf16_to_bf16(y.size(), y.data(), bits_of(dy), bits_of(dx));
}

}  // namespace detent::kernels
