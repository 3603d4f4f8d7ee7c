#include "kernels/relu_mask.h"

#include "kernels/narrow.h"
#include "kernels/target.h"

namespace detent::kernels {
namespace {

template <typename Y, typename From, typename To>
DETENT_VECTORIZED void mask(std::size_t n, const Y* y, const From* dy, To* dx) {
  DETENT_INDEPENDENT
  for (std::size_t i = 0; i < n; ++i) {
    const float g = widen(dy[i]);
    narrow(widen(y[i]) > 0 ? g : 0.0F, &dx[i]);
  }
}

}  // namespace

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
  mask(y.size(), raw(y.data()), raw(dy), raw(dx));
}

}  // namespace detent::kernels
