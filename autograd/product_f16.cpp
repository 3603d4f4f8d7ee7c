#include "autograd/product_f16.h"

#include <algorithm>

#include "autograd/op_support.h"
#include "kernels/elementwise.h"
#include "kernels/relu_mask.h"

namespace detent::autograd {
namespace {

using kernels::ConvBackward;
using kernels::ConvShape;

// The part of `tensor` that belongs to `images`, `row` elements each.
template <typename T>
std::span<const T> part(const Tensor& tensor, std::int64_t row, Range images) {
  return tensor.data<T>().subspan(static_cast<std::size_t>(images.begin * row),
                                  static_cast<std::size_t>(images.size() * row));
}

// dL/dS in f16 numbers: dy, or dy where y > 0 if there was a ReLU (`y` is defined).
template <typename From>
void make_sums_gradient(const Tensor& y, const Tensor& dy, std::int64_t row, Range images, std::span<float> ds) {
  const std::span<const From> in = part<From>(dy, row, images);
  if (y.defined()) {
    kernels::mask_relu(part<float>(y, row, images), in.data(), ds.data());
  } else if constexpr (std::is_same_v<From, float>) {
    std::ranges::copy(in, ds.begin());
  } else {
    kernels::convert(in, ds.data());
  }
  kernels::narrow_to_float16(ds);
}

}  // namespace

Variable product_f16(std::string_view name, const ConvShape& shape, Shape y_shape, const Variable& x,
                     const Variable& weight, const Variable& bias, bool relu) {
  Arena* const arena = x.tape().arena();
  const Tensor factor_x = cast_to(x.value(), DType::F16, arena);
  const Tensor factor_w = cast_to(weight.value(), DType::F16, arena);
  Tensor y = x.tape().empty(std::move(y_shape));
  {
    const Tensor wide_x = cast_to(factor_x, DType::F32, arena), wide_w = cast_to(factor_w, DType::F32, arena);
    kernels::conv2d_forward(shape, DType::F32, wide_x.raw(),
                            kernels::pack_forward(shape, DType::F32, wide_w.raw(), wide_w.owner()),
                            pointer<float>(bias.value()), relu, DType::F32, y.raw());
  }

  // S = x * W + b, y = S or max(0, S)
  //   =>  dS = dy, or dy where y > 0;  dx = dS * W^T,  dW = x^T dS,  db = sum of dS over images and pixels
  return x.tape().record(
      name, y, {x, weight, bias},
      [shape, x_shape = x.shape(), w_shape = weight.shape(), x = weight.needs_grad() ? factor_x : Tensor(),
       w = x.needs_grad() ? factor_w : Tensor(), y = relu ? y : Tensor()](Backward& bw) {
        const auto wanted = [&](std::size_t input, const Shape& as) {
          return bw.needs(input) ? Tensor::empty(as, DType::F32, bw.arena()) : Tensor();
        };
        Tensor dx = wanted(0, x_shape), dw = wanted(1, w_shape), db = wanted(2, {shape.o});
        ConvBackward arguments;
        arguments.make_dy = [&](std::int64_t, Range images, std::byte* out) {
          const std::int64_t row = shape.output_row();
          const std::span ds(reinterpret_cast<float*>(out), static_cast<std::size_t>(images.size() * row));
          bw.dy().dtype() == DType::BF16 ? make_sums_gradient<bfloat16>(y, bw.dy(), row, images, ds)
                                         : make_sums_gradient<float>(y, bw.dy(), row, images, ds);
        };
        arguments.make_x = [&](Range images, std::byte* out) {
          kernels::convert(part<float16>(x, shape.input_row(), images), reinterpret_cast<float*>(out));
        };
        Tensor wide_w;
        if (dx.defined()) {
          wide_w = cast_to(w, DType::F32, bw.arena());
          arguments.weight = kernels::pack_backward(shape, DType::F32, wide_w.raw(), wide_w.owner());
        }
        arguments.dx = dx.raw();
        arguments.dw = pointer<float>(dw);
        arguments.db = pointer<float>(db);
        kernels::conv2d_backward(shape, arguments);
        bw.grad(0, [&] {
          const std::span<float> gradients = dx.data<float>();
          kernels::for_each_slice(dx.elements(), [&](Range r) {
            kernels::narrow_to_float16(
                gradients.subspan(static_cast<std::size_t>(r.begin), static_cast<std::size_t>(r.size())));
          });
          return dx;
        });
        bw.grad(1, [&] { return dw; });
        bw.grad(2, [&] { return db; });
      });
}

}  // namespace detent::autograd
