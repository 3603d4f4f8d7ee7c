#pragma once

#include "detent/autograd/lazy_gradient.h"
#include "detent/kernels/layers/pool.h"

namespace detent::autograd {

/// The gradient of a max-pool's input: dy at the pixel that won a window, 0 at all others.
struct PooledGradient final : LazyGradient {
  PooledGradient(const kernels::PoolShape& pool, Tensor gradient, Tensor winners, Tensor places)
      : shape(pool), dy(std::move(gradient)), y(std::move(winners)), argmax(std::move(places)) {}

  kernels::PoolShape shape;
  Tensor dy;      ///< [N, PH, PW, C]: f32, f64 or bf16
  Tensor y;       ///< the results of the max-pool: the values that won
  Tensor argmax;  ///< u8: the winners' places in their windows

  /// [N, H, W, C], of dy's type.
  Tensor dense(Arena* arena) const override;
};

}  // namespace detent::autograd
