#pragma once

#include <span>
#include <variant>

#include "detent/autograd/lazy_gradient.h"
#include "detent/kernels/layers/batch_norm.h"

namespace detent::autograd {

/// The gradient of a batch norm's input, not yet computed from that of its output: a product makes it slice by slice,
/// where it needs it, and it never lies in memory as a whole.
struct BatchNormInputGradient final : LazyGradient {
  using Coefficients = std::variant<kernels::BatchNormGradient<float>, kernels::BatchNormGradient<double>>;

  BatchNormInputGradient(Tensor gradient, Tensor input, Coefficients made_of)
      : dy(std::move(gradient)), x(std::move(input)), coefficients(std::move(made_of)) {}

  Tensor dy;  ///< of the batch norm's output: f32, f64 or bf16
  Tensor x;   ///< its input, of dy's shape and type
  Coefficients coefficients;

  /// Of dy's shape and type.
  Tensor dense(Arena* arena) const override;
  /// The elements that begin at `first`, of whole rows, single-threaded. REQUIRES: T is dy's type, f32 or bf16.
  template <typename T>
  void write(std::size_t first, std::span<T> dx) const {
    const auto& made_of = std::get<kernels::BatchNormGradient<float>>(coefficients);
    kernels::batch_norm_input_gradient_slice(made_of, dy.data<T>().data() + first, x.data<T>().data() + first,
                                             static_cast<std::int64_t>(dx.size()) / made_of.channels, dx.data());
  }
};

}  // namespace detent::autograd
