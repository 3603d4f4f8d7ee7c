#include "detent/autograd/op_support.h"
#include "detent/autograd/ops.h"
#include "detent/autograd/pooled_gradient.h"

namespace detent::autograd {
namespace {

using kernels::PoolShape;

void check_images(std::string_view op, const Variable& x) {
  check(x.shape().rank() == 4, op, ": expected images [N, H, W, C], got ", x.shape());
}

PoolShape pool_shape(const Shape& in, const Pool2dOptions& options) {
  const PoolShape shape{.n = in[0],
                        .h = in[1],
                        .w = in[2],
                        .c = in[3],
                        .kh = options.kernel_h,
                        .kw = options.kernel_w,
                        .stride_h = options.stride_h,
                        .stride_w = options.stride_w,
                        .padding = options.padding};
  shape.validate();
  return shape;
}

void max_pool(const PoolShape& shape, const Tensor& x, Tensor& y, std::uint8_t* argmax) {
  switch (x.dtype()) {
    case DType::F32:
      return kernels::max_pool_forward(shape, pointer<float>(x), pointer<float>(y), argmax);
    case DType::F64:
      return kernels::max_pool_forward(shape, pointer<double>(x), pointer<double>(y), argmax);
    case DType::BF16:
      return kernels::max_pool_forward(shape, pointer<bfloat16>(x), pointer<bfloat16>(y), argmax);
    case DType::U8:
      return kernels::max_pool_forward(shape, pointer<std::uint8_t>(x), pointer<std::uint8_t>(y), argmax);
    default:
      fail("max_pool2d: expected f32, f64, bf16 or u8 codes, got ", x.dtype());
  }
}

Variable average(std::string_view name, const PoolShape& shape, Shape y_shape, const Variable& given) {
  const Variable x = real_input(name, given);
  Tape& tape = x.tape();
  Tensor y = tape.empty(std::move(y_shape), x.dtype());
  dispatch_real(name, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    kernels::avg_pool_forward(shape, pointer<T>(x.value()), pointer<T>(y));
  });
  // y = sum over the window / (KH KW)  =>  dx = sum of dy / (KH KW) over the windows that see the pixel
  return tape.record(name, y, {x}, [name, shape, x_shape = x.shape(), dtype = x.dtype()](Backward& bw) {
    bw.grad(0, [&] {
      const Tensor dy = dy_as(bw, dtype);
      Tensor dx = Tensor::empty(x_shape, dtype, bw.arena());
      dispatch_real(name, dtype, [&](auto zero) {
        using T = decltype(zero);
        kernels::avg_pool_backward(shape, pointer<T>(dy), pointer<T>(dx));
      });
      return dx;
    });
  });
}

}  // namespace

Variable max_pool2d(const Variable& x, const Pool2dOptions& options) {
  Tape& tape = tape_of("max_pool2d", x);
  check_images("max_pool2d", x);
  const PoolShape shape = pool_shape(x.shape(), options);
  Tensor y = tape.empty({shape.n, shape.out_h(), shape.out_w(), shape.c}, x.dtype()).with_qparams(x.value().qparams());
  Tensor argmax = x.needs_grad() ? tape.empty(y.shape(), DType::U8) : Tensor();
  max_pool(shape, x.value(), y, pointer<std::uint8_t>(argmax));
  // y = x at the pixel that won  =>  dx = dy there, 0 elsewhere. Of codes, the gradient is that of the reals they mean.
  return tape.record("max_pool2d", y, {x}, [shape, argmax, y](Backward& bw) {
    bw.grad(0, [&] { return std::make_unique<PooledGradient>(shape, bw.dy(), y, argmax); });
  });
}

Variable avg_pool2d(const Variable& x, const Pool2dOptions& options) {
  tape_of("avg_pool2d", x);
  check_images("avg_pool2d", x);
  const PoolShape shape = pool_shape(x.shape(), options);
  return average("avg_pool2d", shape, {shape.n, shape.out_h(), shape.out_w(), shape.c}, x);
}

Variable global_avg_pool2d(const Variable& x) {
  tape_of("global_avg_pool2d", x);
  check_images("global_avg_pool2d", x);
  const Shape& in = x.shape();
  const PoolShape shape = PoolShape::global(in[0], in[1], in[2], in[3]);
  shape.validate();
  return average("global_avg_pool2d", shape, {in[0], in[3]}, x);
}

}  // namespace detent::autograd
