#pragma once

#include "detent/autograd/product_pooled.h"

/// Products of f16 numbers. Private to autograd.
namespace detent::autograd {

/// y = x * W + bias, then max(0, .) if `operands.relu`; y and bias are f32, bias may be undefined. The f16 factors are
/// multiplied as f32 numbers, which is exact (11 bits times 11 bits), and summed in f32; no f16 units are used.
void product_f16_forward(const ProductOperands& operands, const Tensor& bias, Arena* arena, Tensor& y);

/// The gradients from a dense dy, with `y` the result where there was a ReLU, else undefined. dy is rounded to f16
/// before it is multiplied: what lies below 2^-25 becomes 0, and what passes 65504 becomes infinite. All results are
/// f32 sums; the caller rounds dx. Tensors of gradients that are not wanted are undefined.
void product_f16_backward(const ProductOperands& operands, const Tensor& y, const Tensor& dy, Arena* arena, Tensor& dx,
                          Tensor& dw, Tensor& db);

}  // namespace detent::autograd
