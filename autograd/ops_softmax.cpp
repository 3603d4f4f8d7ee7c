#include "detent/autograd/op_support.h"
#include "detent/autograd/ops.h"
#include "detent/kernels/layers/softmax.h"

namespace detent::autograd {

Variable softmax(const Variable& given) {
  const Variable x = real_input("softmax", given);
  check(x.shape().rank() >= 1, "softmax: expected values with channels, got a scalar");
  const std::int64_t channels = x.shape().extents().back();
  const std::int64_t rows = channels == 0 ? 0 : x.value().elements() / channels;
  Tensor y = x.tape().empty(x.shape(), x.dtype());
  dispatch_real("softmax", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::softmax_forward(pointer<T>(x.value()), rows, channels, pointer<T>(y));
  });
  // y = softmax(x)  =>  dx = y (dy - sum dy y)
  return x.tape().record("softmax", y, {x}, [y, rows, channels](Backward& bw) {
    bw.grad(0, [&] {
      const Tensor dy = dy_as(bw, y.dtype());
      Tensor dx = Tensor::empty(y.shape(), y.dtype(), bw.arena());
      dispatch_real("softmax", y.dtype(), [&](auto zero) {
        using T = decltype(zero);
        kernels::softmax_backward(pointer<T>(y), pointer<T>(dy), rows, channels, pointer<T>(dx));
      });
      return dx;
    });
  });
}

}  // namespace detent::autograd
