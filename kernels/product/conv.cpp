#include "detent/kernels/product/conv.h"

#include <algorithm>
#include <cstring>

#include "detent/kernels/product/conv_internal.h"
#include "detent/kernels/product/depthwise/depthwise.h"

namespace detent::kernels {
namespace {

using onednn::Product;

/// Of a convolution's images, where there are as many: a small batch too is for all threads.
constexpr std::int64_t kLeastSlices = 8;

PackedWeight packed_weight(const ConvShape& shape, DType dtype, Product product, WeightLayout layout,
                           std::shared_ptr<const std::byte> data, std::size_t bytes,
                           std::shared_ptr<const DirectConv> direct = nullptr) {
  PackedWeight::Impl impl{.shape = shape,
                          .dtype = dtype,
                          .product = product,
                          .layout = layout,
                          .data = std::move(data),
                          .bytes = bytes,
                          .sums = {},
                          .direct = std::move(direct)};
  impl.shape.n = 1;
  return PackedWeight(std::make_shared<const PackedWeight::Impl>(std::move(impl)));
}

PackedWeight pack_blocked(const ConvShape& shape, DType dtype, Product product, const void* weight) {
  ConvShape slice = shape;
  slice.n = images_per_slice(shape);
  const onednn::PlanPointer plan = onednn::conv_plan(slice, {.product = product, .dtype = dtype});
  const std::size_t bytes = onednn::weight_bytes(*plan);
  const auto data = allocate_aligned(bytes);
  onednn::pack_weight(*plan, weight, data.get());
  return packed_weight(shape, dtype, product, WeightLayout::Blocked, data, bytes);
}

PackedWeight pack_direct(const ConvShape& shape, DType dtype, Product product, const std::byte* weight) {
  auto direct =
      product == Product::Forward ? DirectConv::make_forward(shape, dtype) : DirectConv::make_backward(shape, dtype);
  const std::size_t bytes = direct->weight_bytes();
  const auto data = allocate_aligned(bytes);
  direct->pack(weight, data.get());
  return packed_weight(shape, dtype, product, WeightLayout::Direct, data, bytes, std::move(direct));
}

PackedWeight pack_plain(const ConvShape& shape, DType dtype, Product product, const std::byte* weight,
                        std::shared_ptr<const void> owner) {
  std::shared_ptr<const std::byte> data;
  const std::size_t bytes = static_cast<std::size_t>(shape.weight_elements()) * size_of(dtype);
  if (owner) {
    data = {std::move(owner), weight};
  } else {
    const auto copy = allocate_aligned(bytes);
    std::memcpy(copy.get(), weight, bytes);
    data = copy;
  }
  return packed_weight(shape, dtype, product, WeightLayout::Plain, std::move(data), bytes);
}

PackedWeight pack_depthwise(const ConvShape& shape, DType dtype, Product product, const std::byte* weight) {
  const depthwise::Weight packed = product == Product::Forward ? depthwise::pack_forward(shape, dtype, weight)
                                                               : depthwise::pack_backward(shape, dtype, weight);
  return packed_weight(shape, dtype, product, WeightLayout::Depthwise, packed.data, packed.bytes);
}

PackedWeight pack_float(std::string_view op, const ConvShape& shape, DType dtype, Product product,
                        const std::byte* weight, std::shared_ptr<const void> owner) {
  shape.validate();
  check(dtype == DType::F32 || dtype == DType::BF16, op, ": expected a weight of f32 or bf16, got ", dtype);
  if (depthwise::serves(shape, product, dtype)) {
    return pack_depthwise(shape, dtype, product, weight);
  }
  if (dtype == DType::BF16 && !has_bf16_units()) {
    return pack_float(op, shape, DType::F32, product, widened(weight, shape.weight_elements()).get(), nullptr);
  }
  if (DirectConv::is_preferred(shape, dtype, product == Product::BackwardData)) {
    return pack_direct(shape, dtype, product, weight);
  }
  return shape.is_linear() ? pack_plain(shape, dtype, product, weight, std::move(owner))
                           : pack_blocked(shape, dtype, product, weight);
}

/// bf16 numbers on a processor without bf16 units: f32 products of the same numbers.
void forward_as_f32(const ConvShape& shape, const std::byte* x, const PackedWeight& weight, const float* bias,
                    bool relu, DType out, std::byte* y) {
  const std::int64_t outputs = shape.n * shape.output_row();
  const auto x_f32 = widened(x, shape.n * shape.input_row());
  if (out == DType::F32) {
    conv2d_forward(shape, DType::F32, x_f32.get(), weight, bias, relu, DType::F32, y);
    return;
  }
  const auto y_f32 = op_buffer(static_cast<std::size_t>(outputs) * sizeof(float));
  conv2d_forward(shape, DType::F32, x_f32.get(), weight, bias, relu, DType::F32, y_f32.get());
  convert_to_bfloat16(reinterpret_cast<const float*>(y_f32.get()), outputs, reinterpret_cast<bfloat16*>(y));
}

}  // namespace

std::size_t PackedWeight::bytes() const { return impl_->bytes; }

std::span<std::byte> PackedWeight::memory_for_tests() const {
  return {const_cast<std::byte*>(impl_->data.get()), impl_->bytes};
}

bool ConvShape::is_matmul() const {
  return kh == 1 && kw == 1 && stride_h == 1 && stride_w == 1 && padding == 0 && groups == 1;
}

void ConvShape::validate() const {
  const Shape image{n, h, w, c};
  check(n >= 1 && h >= 1 && w >= 1 && c >= 1, "conv2d: expected images of a positive shape, got ", image);
  check(o >= 1 && kh >= 1 && kw >= 1, "conv2d: expected a positive number of outputs and kernel, got ", o, " and ", kh,
        " x ", kw);
  check(stride_h >= 1 && stride_w >= 1 && dilation_h >= 1 && dilation_w >= 1,
        "conv2d: expected stride and dilation of at least 1, got ", stride_h, " x ", stride_w, " and ", dilation_h,
        " x ", dilation_w);
  check(!padding.is_negative(), "conv2d: expected padding of at least 0, got ", padding);
  check(groups >= 1 && c % groups == 0 && o % groups == 0, "conv2d: expected groups that divide ", c, " channels and ",
        o, " outputs, got ", groups);
  check(dilation_h * (kh - 1) < h + padding.h() && dilation_w * (kw - 1) < w + padding.w(), "conv2d: kernel of ", kh,
        " x ", kw, " with dilation ", dilation_h, " x ", dilation_w, " does not fit into images of ", h, " x ", w,
        " with padding ", padding);
}

Slices conv_slices(const ConvShape& shape) {
  const std::int64_t full = images_per_slice(shape);
  return slice_rows(shape.n, shape.is_linear() ? full : std::min(full, (shape.n + kLeastSlices - 1) / kLeastSlices));
}

PackedWeight pack_forward(const ConvShape& shape, DType dtype, const std::byte* weight,
                          std::shared_ptr<const void> owner) {
  return pack_float("pack_forward", shape, dtype, Product::Forward, weight, std::move(owner));
}

PackedWeight pack_backward(const ConvShape& shape, DType dtype, const std::byte* weight,
                           std::shared_ptr<const void> owner) {
  return pack_float("pack_backward", shape, dtype, Product::BackwardData, weight, std::move(owner));
}

void conv2d_forward(const ConvShape& shape, DType dtype, const std::byte* x, const PackedWeight& weight,
                    const float* bias, bool relu, DType out, std::byte* y) {
  shape.validate();
  check(dtype == DType::F32 || dtype == DType::BF16, "conv2d: expected inputs of f32 or bf16, got ", dtype);
  check(out == DType::F32 || out == dtype, "conv2d: expected results of f32 or ", dtype, ", got ", out);
  const bool is_depthwise = depthwise::serves(shape, Product::Forward, dtype);
  if (!is_depthwise && dtype == DType::BF16 && !has_bf16_units()) {
    forward_as_f32(shape, x, weight, bias, relu, out, y);
    return;
  }
  const PackedWeight::Impl& packed = packed_for("conv2d", weight, Product::Forward, shape, dtype);
  const Slices slices = conv_slices(shape);
  const std::int64_t x_bytes = shape.input_row() * static_cast<std::int64_t>(size_of(dtype));
  const std::int64_t y_bytes = shape.output_row() * static_cast<std::int64_t>(size_of(out));
  if (is_depthwise) {
    parallel_slices(slices.count, [&](std::int64_t index) {
      const Range images = slices[index];
      ConvShape slice = shape;
      slice.n = images.size();
      depthwise::forward(slice, {0, shape.out_h()}, dtype, x + images.begin * x_bytes, packed.data.get(), bias, relu,
                         out, y + images.begin * y_bytes);
    });
    return;
  }
  if (packed.direct) {
    parallel_slices(slices.count, [&](std::int64_t slice) {
      const Range images = slices[slice];
      packed.direct->run(x + images.begin * x_bytes, images.size(), {0, packed.direct->parts()}, packed.data.get(),
                         {.bias = bias, .relu = relu, .out = out}, y + images.begin * y_bytes);
    });
    return;
  }
  const bool has_bias = bias != nullptr;
  const SlicePlans plans(slices, [&](std::int64_t images) -> onednn::PlanPointer {
    if (shape.is_linear()) {
      return onednn::gemm_plan({.m = images,
                                .k = shape.c,
                                .n = shape.o,
                                .transpose_b = true,
                                .lda = shape.c,
                                .ldb = shape.c,
                                .ldy = shape.o,
                                .dtype = dtype,
                                .out = out,
                                .has_bias = has_bias,
                                .relu = relu});
    }
    ConvShape slice = shape;
    slice.n = images;
    return onednn::conv_plan(
        slice, {.product = Product::Forward, .dtype = dtype, .out = out, .has_bias = has_bias, .relu = relu});
  });
  parallel_slices(slices.count, [&](std::int64_t slice) {
    const Range images = slices[slice];
    onednn::run(
        plans[images],
        {.a = x + images.begin * x_bytes, .b = packed.data.get(), .y = y + images.begin * y_bytes, .bias = bias});
  });
}

}  // namespace detent::kernels
