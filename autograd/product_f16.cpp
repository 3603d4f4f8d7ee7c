#include "autograd/product_f16.h"

#include <algorithm>

#include "autograd/product_pooled.h"
#include "kernels/conv_pooled.h"
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

void dense_product_backward(const ProductOperands& operands, const Tensor& y, const Tensor& dy, Arena* arena,
                            Tensor& dx, Tensor& dw, Tensor& db) {
  const ConvShape& shape = operands.shape;
  ConvBackward products;
  products.make_dy = [&](std::int64_t, Range images, std::byte* out) {
    const std::int64_t row = shape.output_row();
    const std::span ds(reinterpret_cast<float*>(out), static_cast<std::size_t>(images.size() * row));
    dy.dtype() == DType::BF16 ? make_sums_gradient<bfloat16>(y, dy, row, images, ds)
                              : make_sums_gradient<float>(y, dy, row, images, ds);
  };
  products.make_x = [&](Range images, std::byte* out) {
    kernels::convert(part<float16>(operands.x, shape.input_row(), images), reinterpret_cast<float*>(out));
  };
  Tensor wide_weight;
  if (dx.defined()) {
    wide_weight = operands.weight.as(DType::F32, arena);
    products.weight = kernels::pack_backward(shape, DType::F32, wide_weight.raw(), wide_weight.owner());
  }
  products.dx = dx.raw();
  products.dw = pointer<float>(dw);
  products.db = pointer<float>(db);
  kernels::conv2d_backward(shape, products);
}

}  // namespace

Variable product_f16(std::string_view name, const ConvShape& shape, Shape y_shape, const Variable& x,
                     const Variable& weight, const Variable& bias, bool relu) {
  Arena* const arena = x.tape().arena();
  const Tensor factor_x = x.value().as(DType::F16, arena);
  const Tensor factor_w = weight.value().as(DType::F16, arena);
  Tensor y = x.tape().empty(std::move(y_shape));
  {
    const Tensor wide_x = factor_x.as(DType::F32, arena), wide_w = factor_w.as(DType::F32, arena);
    kernels::conv2d_forward(shape, DType::F32, wide_x.raw(),
                            kernels::pack_forward(shape, DType::F32, wide_w.raw(), wide_w.owner()),
                            pointer<float>(bias.value()), relu, DType::F32, y.raw());
  }

  // S = x * W + b, y = S or max(0, S)
  //   =>  dS = dy, or dy where y > 0;  dx = dS * W^T,  dW = x^T dS,  db = sum of dS over images and pixels
  const ProductOperands operands{.shape = shape,
                                 .dtype = DType::F16,
                                 .x = weight.needs_grad() ? factor_x : Tensor(),
                                 .weight = x.needs_grad() ? factor_w : Tensor(),
                                 .relu = relu};
  return x.tape().record(
      name, y, {x, weight, bias},
      [operands, x_shape = x.shape(), w_shape = weight.shape(), y = relu ? y : Tensor()](Backward& bw) {
        const auto wanted = [&](std::size_t input, const Shape& as) {
          return bw.needs(input) ? Tensor::empty(as, DType::F32, bw.arena()) : Tensor();
        };
        Tensor dx = wanted(0, x_shape), dw = wanted(1, w_shape), db = wanted(2, {operands.shape.o});
        const PooledGradient* const pooled = bw.pooled_dy();
        if (pooled != nullptr && kernels::visits_winners(operands.shape, pooled->shape)) {
          pooled_product_backward(operands, *pooled, bw.arena(), dx, dw, db);
        } else {
          dense_product_backward(operands, y, bw.dy(), bw.arena(), dx, dw, db);
        }
        bw.grad(0, [&] {
          narrow_to_f16(dx);
          return dx;
        });
        bw.grad(1, [&] { return dw; });
        bw.grad(2, [&] { return db; });
      },
      Dy::MayBePooled);
}

}  // namespace detent::autograd
