#pragma once

#include "detent/autograd/op_support.h"
#include "detent/autograd/pooled_gradient.h"
#include "detent/kernels/product/conv.h"

namespace detent::autograd {

/// What the gradients of a product are made of.
struct ProductOperands {
  kernels::ConvShape shape;
  DType dtype;       ///< of the products: f32, bf16 or f16
  Tensor x, weight;  ///< in this type; undefined where the other's gradient is not wanted
  bool relu;         ///< whether a ReLU followed
};

/// The gradients of a product whose result went into a max-pool alone, with f32 sums of the numbers of the products'
/// type: the same as conv2d_backward gives for `dy.dense()`, by kernels::conv2d_backward_pooled. Where a gradient is
/// not wanted its tensor is undefined. REQUIRES: kernels::visits_winners.
void pooled_product_backward(const ProductOperands& operands, const PooledGradient& dy, Arena* arena, Tensor& dx,
                             Tensor& dw, Tensor& db);

}  // namespace detent::autograd
