#pragma once

#include <cstddef>

#include "detent/kernels/product/conv.h"
#include "detent/kernels/product/onednn/onednn.h"

/// The gradient of a convolution's images that have few channels, which would leave vectors of channels nearly empty.
namespace detent::kernels::few_channels {

/// Of up to 3 channels, where more than one tap sees a pixel.
bool serves(const ConvShape& shape, onednn::Product product);

/// dx of `shape.n` images: for each tap and channel the products of all pixels of dy with its weights, which are then
/// added where the tap sees them, tap after tap. Products are of `dtype`, f32 or bf16, sums f32, dx of `dx_dtype`.
/// `weight` as it is, O KH KW I. Single-threaded.
void backward_data(const ConvShape& shape, DType dtype, const std::byte* dy, const std::byte* weight, DType dx_dtype,
                   std::byte* dx);

}  // namespace detent::kernels::few_channels
