#pragma once

#include "detent/autograd/lazy_gradient.h"

namespace detent::quant {

/// The gradient of a sum's operand: that of the sum where it passes. A product takes it without a copy, since it has a
/// mask of its own to join it with.
struct MaskedGradient final : autograd::LazyGradient {
  MaskedGradient(Tensor gradient, Tensor bits) : dy(std::move(gradient)), mask(std::move(bits)) {}

  Tensor dy;    ///< f32 or bf16
  Tensor mask;  ///< one bit an element (kernels::mask_bytes)

  /// dy where the mask is set, else 0, of dy's type.
  Tensor dense(Arena* arena) const override;
};

}  // namespace detent::quant
