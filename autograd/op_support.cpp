#include "autograd/op_support.h"

#include "kernels/elementwise.h"

namespace detent::autograd {

Tensor cast_to(const Tensor& x, DType dtype, Arena* arena) {
  if (x.dtype() == dtype) {
    return x;
  }
  Tensor y = Tensor::empty(x.shape(), dtype, arena);
  kernels::cast(x.dtype(), dtype, x.elements(), x.raw(), y.raw());
  return y;
}

}  // namespace detent::autograd
