#pragma once

#include <string>

#include "detent/core/tensor.h"

namespace detent::data {

/// Images u8 [N, H, W] or [N, H, W, C] as [N, H, W, C]. Throws Error, which begins with `where`, for other ranks, and
/// for [N, 1 or 3, H, W], which looks like channels first, unless `is_told` that it is not. `hint` is what else to do
/// then.
Tensor channels_last(const std::string& where, const Tensor& images, bool is_told = false,
                     const std::string& hint = {});

/// Images u8 [N, H, W, C] in another size: each pixel is the mean of those it covers, weighted by a triangle of twice
/// its width (bilinear interpolation where the image grows), rounded to nearest. Proportions are not kept.
Tensor resized(const Tensor& images, std::int64_t height, std::int64_t width);

/// Images u8 [N, H, W, C] with 1 or 3 channels: grey is (19595 R + 38470 G + 7471 B + 2^15) / 2^16, the luma of ITU-R
/// BT.601, and colour of grey has three equal channels. Throws Error for other numbers of channels.
Tensor with_channels(const Tensor& images, std::int64_t channels);

}  // namespace detent::data
