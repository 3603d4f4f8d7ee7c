#include "detent/autograd/product_f16.h"

#include <algorithm>

#include "detent/core/conversion.h"
#include "detent/kernels/layers/elementwise.h"
#include "detent/kernels/layers/relu_mask.h"

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
    convert(in, ds.data());
  }
  round_to_float16(ds);
}

}  // namespace

void product_f16_forward(const ProductOperands& operands, const Tensor& bias, Arena* arena, Tensor& y) {
  const Tensor x = operands.x.as(DType::F32, arena), weight = operands.weight.as(DType::F32, arena);
  kernels::conv2d_forward(operands.shape, DType::F32, x.raw(),
                          kernels::pack_forward(operands.shape, DType::F32, weight.raw(), weight.owner()),
                          pointer<float>(bias), operands.relu, DType::F32, y.raw());
}

void product_f16_backward(const ProductOperands& operands, const Tensor& y, const Tensor& dy, Arena* arena, Tensor& dx,
                          Tensor& dw, Tensor& db) {
  const ConvShape& shape = operands.shape;
  ConvBackward products;
  products.make_dy = [&](std::int64_t, Range images, std::byte* out) {
    const std::int64_t row = shape.output_row();
    const std::span ds(reinterpret_cast<float*>(out), static_cast<std::size_t>(images.size() * row));
    dy.dtype() == DType::BF16 ? make_sums_gradient<bfloat16>(y, dy, row, images, ds)
                              : make_sums_gradient<float>(y, dy, row, images, ds);
  };
  products.make_x = [&](Range images, std::byte* out) {
    convert(part<float16>(operands.x, shape.input_row(), images), reinterpret_cast<float*>(out));
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

}  // namespace detent::autograd
