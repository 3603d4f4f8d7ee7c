#pragma once

#include "detent/core/tensor.h"
#include "detent/kernels/layers/pool.h"

namespace detent::autograd {

/// The gradient of a max-pool's input as the max-pool knows it: dy at the pixel that won a window, 0 at all others.
/// A convolution can make use of that; everybody else asks for it `dense`.
struct PooledGradient {
  kernels::PoolShape shape;
  Tensor dy;      ///< [N, PH, PW, C]: f32, f64 or bf16
  Tensor y;       ///< the results of the max-pool: the values that won
  Tensor argmax;  ///< u8: the winners' places in their windows

  /// The gradient in full, [N, H, W, C], of dy's type.
  Tensor dense(Arena* arena) const;
};

}  // namespace detent::autograd
