#include "detent/autograd/pooled_gradient.h"

#include "detent/autograd/op_support.h"

namespace detent::autograd {

Tensor PooledGradient::dense(Arena* arena) const {
  Tensor dx = Tensor::empty({shape.n, shape.h, shape.w, shape.c}, dy.dtype(), arena);
  const std::uint8_t* const winners = pointer<std::uint8_t>(argmax);
  switch (dy.dtype()) {
    case DType::F64:
      kernels::max_pool_backward(shape, pointer<double>(dy), winners, pointer<double>(dx));
      break;
    case DType::BF16:
      kernels::max_pool_backward(shape, pointer<bfloat16>(dy), winners, pointer<bfloat16>(dx));
      break;
    default:
      kernels::max_pool_backward(shape, pointer<float>(dy), winners, pointer<float>(dx));
  }
  return dx;
}

}  // namespace detent::autograd
