#include "detent/autograd/product_pooled.h"

#include <algorithm>

#include "detent/core/conversion.h"
#include "detent/kernels/layers/elementwise.h"
#include "detent/kernels/layers/relu_mask.h"
#include "detent/kernels/product/conv_pooled.h"

namespace detent::autograd {
namespace {

template <typename T>
std::span<const T> image_of(const Tensor& tensor, std::int64_t image) {
  const auto row = static_cast<std::size_t>(tensor.shape().row_elements());
  return tensor.data<T>().subspan(static_cast<std::size_t>(image) * row, row);
}

void widen_image(const Tensor& from, std::int64_t image, float* to) {
  switch (from.dtype()) {
    case DType::BF16:
      return convert(image_of<bfloat16>(from, image), to);
    case DType::F16:
      return convert(image_of<float16>(from, image), to);
    default:
      std::ranges::copy(image_of<float>(from, image), to);
  }
}

/// dS at the winners: dy, or dy where what won is positive if there was a ReLU.
void make_g(const ProductOperands& operands, const PooledGradient& dy, std::int64_t image, float* g) {
  widen_image(dy.dy, image, g);
  if (operands.relu) {
    dy.y.dtype() == DType::BF16 ? kernels::mask_relu(image_of<bfloat16>(dy.y, image), g, g)
                                : kernels::mask_relu(image_of<float>(dy.y, image), g, g);
  }
  if (operands.dtype == DType::F16) {
    round_to_float16({g, static_cast<std::size_t>(dy.shape.output_row())});
  }
}

}  // namespace

void pooled_product_backward(const ProductOperands& operands, const PooledGradient& dy, Arena* arena, Tensor& dx,
                             Tensor& dw, Tensor& db) {
  // The operands in the type of the products: f16 products are computed in f32.
  const bool is_bf16 = operands.dtype == DType::BF16;
  kernels::PooledConvBackward winners;
  winners.dtype = is_bf16 ? DType::BF16 : DType::F32;
  winners.pool = dy.shape;
  winners.argmax = pointer<std::uint8_t>(dy.argmax);
  winners.make_g = [&](std::int64_t image, float* g) { make_g(operands, dy, image, g); };
  winners.make_x = [&](std::int64_t image, std::byte* x) {
    if (is_bf16) {
      std::ranges::copy(image_of<bfloat16>(operands.x, image), reinterpret_cast<bfloat16*>(x));
    } else {
      widen_image(operands.x, image, reinterpret_cast<float*>(x));
    }
  };
  const Tensor weight = dx.defined() ? operands.weight.as(winners.dtype, arena) : Tensor();
  winners.weight = weight.raw();
  winners.dx = dx.raw();
  winners.dx_dtype = dx.defined() ? dx.dtype() : DType::F32;
  winners.dw = pointer<float>(dw);
  winners.db = pointer<float>(db);
  kernels::conv2d_backward_pooled(operands.shape, winners);
}

}  // namespace detent::autograd
