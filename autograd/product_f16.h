#pragma once

#include <string_view>

#include "autograd/tape.h"
#include "kernels/conv.h"

/// Products of f16 numbers. Private to autograd.
namespace detent::autograd {

/// y = x * W + bias, then max(0, .) if `relu`, where x and W are rounded to f16 and kept so for backward. Factors are
/// multiplied as f32 numbers, which is exact (11 bits times 11 bits), and summed in f32; no f16 units are used.
///
/// Backward: dy is rounded to f16 before it is multiplied, and dx after it: what lies below 2^-25 becomes 0, and what
/// passes 65504 becomes infinite. dW and db are f32 sums and are not rounded.
///
/// `x`, `weight` and `bias` are f32 of the shapes that `shape` says; `bias` may have an undefined value.
Variable product_f16(std::string_view name, const kernels::ConvShape& shape, Shape y_shape, const Variable& x,
                     const Variable& weight, const Variable& bias, bool relu);

}  // namespace detent::autograd
