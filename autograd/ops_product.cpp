#include <algorithm>
#include <type_traits>

#include "detent/autograd/batch_norm_gradient.h"
#include "detent/autograd/op_support.h"
#include "detent/autograd/ops.h"
#include "detent/autograd/product_f16.h"
#include "detent/autograd/product_pooled.h"
#include "detent/core/conversion.h"
#include "detent/kernels/layers/elementwise.h"
#include "detent/kernels/layers/relu_mask.h"
#include "detent/kernels/product/conv_pooled.h"

namespace detent::autograd {
namespace {

using kernels::ConvBackward;
using kernels::ConvShape;

/// Writes the gradient of the sums of `images` in the type that the products want.
using MakeDy = std::function<void(std::int64_t slice, Range images, std::byte* dy)>;

template <typename Y, typename From, typename To>
MakeDy dy_maker(const ConvShape& shape, const Tensor& y, const Tensor& dy) {
  return [row = shape.output_row(), y, dy](std::int64_t, Range images, std::byte* out) {
    const auto begin = static_cast<std::size_t>(images.begin * row);
    const auto size = static_cast<std::size_t>(images.size() * row);
    const std::span<const From> in = dy.data<From>().subspan(begin, size);
    if (y.defined()) {
      kernels::mask_relu(y.data<Y>().subspan(begin, size), in.data(), reinterpret_cast<To*>(out));
    } else if constexpr (!std::is_same_v<From, To>) {
      convert(in, reinterpret_cast<To*>(out));
    }
  };
}

template <typename Y>
MakeDy dy_maker(const ConvShape& shape, DType dtype, const Tensor& y, const Tensor& dy) {
  if (dy.dtype() == DType::BF16) {
    return dtype == DType::BF16 ? dy_maker<Y, bfloat16, bfloat16>(shape, y, dy)
                                : dy_maker<Y, bfloat16, float>(shape, y, dy);
  }
  return dtype == DType::BF16 ? dy_maker<Y, float, bfloat16>(shape, y, dy) : dy_maker<Y, float, float>(shape, y, dy);
}

/// Masks `dy` by y > 0 where there was a ReLU (`y` is defined) and converts it to `dtype`. Null where dy serves as it
/// lies in memory.
MakeDy dy_maker(const ConvShape& shape, DType dtype, const Tensor& y, const Tensor& dy) {
  if (!y.defined() && dy.dtype() == dtype) {
    return nullptr;
  }
  return y.defined() && y.dtype() == DType::BF16 ? dy_maker<bfloat16>(shape, dtype, y, dy)
                                                 : dy_maker<float>(shape, dtype, y, dy);
}

/// Makes the slice of a batch norm's input gradient.
template <typename T>
MakeDy dy_maker(const ConvShape& shape, const BatchNormInputGradient& gradient) {
  return [row = shape.output_row(), &gradient](std::int64_t, Range images, std::byte* out) {
    gradient.write(static_cast<std::size_t>(images.begin * row),
                   std::span(reinterpret_cast<T*>(out), static_cast<std::size_t>(images.size() * row)));
  };
}

/// The gradient of the sums is that of a batch norm's input where `bw` has one of the products' type that was not
/// computed yet; else, masked by y > 0 where there was a ReLU, that of the result.
void dense_product_backward(const ProductOperands& operands, const Tensor& y, const Backward& bw, Tensor& dx,
                            Tensor& dw, Tensor& db) {
  ConvBackward products;
  products.dtype = operands.dtype;
  const auto* const lazy = bw.lazy_dy<BatchNormInputGradient>();
  if (lazy != nullptr && !y.defined() && lazy->dy.dtype() == operands.dtype) {
    products.make_dy = operands.dtype == DType::BF16 ? dy_maker<bfloat16>(operands.shape, *lazy)
                                                     : dy_maker<float>(operands.shape, *lazy);
  } else {
    products.make_dy = dy_maker(operands.shape, operands.dtype, y, bw.dy());
    products.dy = products.make_dy ? nullptr : bw.dy().raw();
  }
  products.x = operands.x.raw();
  if (dx.defined()) {
    products.weight =
        kernels::pack_backward(operands.shape, operands.dtype, operands.weight.raw(), operands.weight.owner());
    products.dx = dx.raw();
    products.dx_dtype = dx.dtype();
  }
  products.dw = pointer<float>(dw);
  products.db = pointer<float>(db);
  kernels::conv2d_backward(operands.shape, products);
}

/// The same in double precision, from the reference kernels.
Variable product_f64(std::string_view name, const ConvShape& shape, Shape y_shape, const Variable& x,
                     const Variable& weight, const Variable& bias, bool relu) {
  Tape& tape = x.tape();
  Tensor y = tape.empty(std::move(y_shape), DType::F64);
  kernels::reference_conv2d_forward(shape, pointer<double>(x.value()), pointer<double>(weight.value()),
                                    pointer<double>(bias.value()), y.data<double>().data());
  if (relu) {
    std::ranges::transform(y.data<double>(), y.data<double>().begin(), [](double v) { return v < 0 ? 0.0 : v; });
  }
  return tape.record(
      name, y, {x, weight, bias},
      [shape, x = x.value(), w = weight.value(), y = relu ? y : Tensor(), b = bias.shape()](Backward& bw) {
        Tensor dy = bw.dy();
        if (y.defined()) {
          dy = dy.clone(bw.arena());
          std::ranges::transform(dy.data<double>(), y.data<double>(), dy.data<double>().begin(),
                                 [](double g, double v) { return v > 0 ? g : 0.0; });
        }
        const auto wanted = [&](std::size_t input, const Shape& as) {
          return bw.needs(input) ? Tensor::empty(as, DType::F64, bw.arena()) : Tensor();
        };
        Tensor dx = wanted(0, x.shape()), dw = wanted(1, w.shape()), db = wanted(2, b);
        kernels::reference_conv2d_backward(shape, pointer<double>(std::as_const(dy)), pointer<double>(x),
                                           pointer<double>(w), pointer<double>(dx), pointer<double>(dw),
                                           pointer<double>(db));
        bw.grad(0, [&] { return dx; });
        bw.grad(1, [&] { return dw; });
        bw.grad(2, [&] { return db; });
      });
}

/// What linear and conv2d have in common: all but their shapes.
Variable product(std::string_view name, const ConvShape& shape, Shape y_shape, const Variable& given,
                 const Variable& weight, const Variable& given_bias, const ProductOptions& options) {
  Tape& tape = given.tape();
  const Variable bias = optional_input(tape, given_bias);
  const bool takes_bf16 = given.dtype() == DType::BF16 && options.dtype == DType::BF16;
  const Variable x = takes_bf16 ? given : real_input(name, given);
  const DType master = takes_bf16 ? DType::F32 : x.dtype();
  check_operand(name, "weight", weight.value(), weight.shape(), master);
  if (bias.value().defined()) {
    check_operand(name, "bias", bias.value(), {shape.o}, master);
  }
  shape.validate();
  const DType dtype = options.dtype;
  check(dtype == DType::F32 || dtype == DType::BF16 || dtype == DType::F16, name,
        ": products are computed in f32, bf16 or f16, not in ", dtype);
  if (x.dtype() == DType::F64) {
    return product_f64(name, shape, std::move(y_shape), x, weight, bias, options.relu);
  }

  ProductOperands operands{.shape = shape,
                           .dtype = dtype,
                           .x = x.value().as(dtype, tape.arena()),
                           .weight = weight.value().as(dtype, tape.arena()),
                           .relu = options.relu};
  const bool is_f16 = dtype == DType::F16;
  Tensor y = tape.empty(std::move(y_shape), is_f16 ? DType::F32 : dtype);
  if (is_f16) {
    product_f16_forward(operands, bias.value(), tape.arena(), y);
  } else {
    kernels::conv2d_forward(shape, dtype, operands.x.raw(),
                            kernels::pack_forward(shape, dtype, operands.weight.raw(), operands.weight.owner()),
                            pointer<float>(bias.value()), options.relu, dtype, y.raw());
  }
  // Backward keeps only what it needs.
  operands.x = weight.needs_grad() ? operands.x : Tensor();
  operands.weight = x.needs_grad() ? operands.weight : Tensor();

  // S = x * W + b, y = S or max(0, S)
  //   =>  dS = dy, or dy where y > 0;  dx = dS * W^T,  dW = x^T dS,  db = sum of dS over images and pixels
  return tape.record(name, y, {x, weight, bias},
                     [operands, x_shape = x.shape(), x_dtype = x.dtype(), w_shape = weight.shape(),
                      y = options.relu ? y : Tensor()](Backward& bw) {
                       const auto wanted = [&](std::size_t input, const Shape& as, DType type = DType::F32) {
                         return bw.needs(input) ? Tensor::empty(as, type, bw.arena()) : Tensor();
                       };
                       Tensor dx = wanted(0, x_shape, x_dtype), dw = wanted(1, w_shape),
                              db = wanted(2, {operands.shape.o});
                       const PooledGradient* const pooled = bw.lazy_dy<PooledGradient>();
                       if (pooled != nullptr && kernels::visits_winners(operands.shape, pooled->shape)) {
                         pooled_product_backward(operands, *pooled, bw.arena(), dx, dw, db);
                       } else if (operands.dtype == DType::F16) {
                         product_f16_backward(operands, y, bw.dy(), bw.arena(), dx, dw, db);
                       } else {
                         dense_product_backward(operands, y, bw, dx, dw, db);
                       }
                       bw.grad(0, [&] {
                         if (operands.dtype == DType::F16) {
                           round_to_f16(dx);
                         }
                         return dx;
                       });
                       bw.grad(1, [&] { return dw; });
                       bw.grad(2, [&] { return db; });
                     });
}

}  // namespace

Variable linear(const Variable& x, const Variable& weight, const Variable& bias, const ProductOptions& options) {
  tape_of("linear", x);
  check(x.shape().rank() == 2 && weight.shape().rank() == 2 && x.shape()[1] == weight.shape()[1],
        "linear: expected x [N, K] and weight [O, K], got ", x.shape(), " and ", weight.shape(),
        x.shape().rank() == 4 ? "; flatten the images first" : "");
  const std::int64_t n = x.shape()[0], o = weight.shape()[0];
  return product("linear", ConvShape::linear(n, x.shape()[1], o), {n, o}, x, weight, bias, options);
}

Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias, const Conv2dOptions& options) {
  tape_of("conv2d", x);
  check(x.shape().rank() == 4 && weight.shape().rank() == 4 && options.groups >= 1 &&
            x.shape()[3] == weight.shape()[3] * options.groups,
        "conv2d: expected x [N, H, W, C] and weight [O, KH, KW, C / ", options.groups, "], got ", x.shape(), " and ",
        weight.shape());
  const Shape &in = x.shape(), &kernel = weight.shape();
  const ConvShape shape{.n = in[0],
                        .h = in[1],
                        .w = in[2],
                        .c = in[3],
                        .o = kernel[0],
                        .kh = kernel[1],
                        .kw = kernel[2],
                        .stride_h = options.stride_h,
                        .stride_w = options.stride_w,
                        .padding = options.padding,
                        .dilation_h = options.dilation_h,
                        .dilation_w = options.dilation_w,
                        .groups = options.groups};
  shape.validate();
  return product("conv2d", shape, {shape.n, shape.out_h(), shape.out_w(), shape.o}, x, weight, bias, options.product);
}

}  // namespace detent::autograd
