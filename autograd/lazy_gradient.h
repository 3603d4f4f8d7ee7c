#pragma once

#include "detent/core/tensor.h"

namespace detent::autograd {

/// A gradient as the op that gives it knows it, from which the tensor can be made: mostly zeros, say, of which it holds
/// the others. An op that can use a class of them asks for it by Backward::lazy_dy; all others get the tensor, which is
/// made when the first of them asks for it, or when another gradient is added.
class LazyGradient {
 public:
  LazyGradient() = default;
  virtual ~LazyGradient() = default;
  LazyGradient(const LazyGradient&) = delete;
  LazyGradient& operator=(const LazyGradient&) = delete;

  /// The gradient in full: the shape of the value that it belongs to, and a type that Backward::grad takes. `arena`
  /// gives memory; null: the heap.
  virtual Tensor dense(Arena* arena) const = 0;
};

}  // namespace detent::autograd
