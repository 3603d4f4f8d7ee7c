#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "detent/core/shape.h"

namespace detent {

/// Extents as users write them, with an x between each two: "56x56x1" is {56, 56, 1}. None where the text is not of
/// that form, or an extent is not from 1 to 65536.
std::optional<std::vector<std::int64_t>> extents_from(std::string_view text);

/// The shape [H, W, C] of images whose size is written so: "28x28", which have one channel, or "32x32x3". None for any
/// other text.
std::optional<Shape> image_shape_from(std::string_view text);

}  // namespace detent
