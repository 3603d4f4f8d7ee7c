#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>

#include "detent/core/tensor.h"

namespace detent::data {

/// Pictures as u8 [1, H, W, C]: grey (C = 1) or red, green, blue (C = 3), as the file is.
///
/// Format and size are taken from the file's bytes, not from its name. Throws Error, which begins with `where`, for
/// what is neither PNG nor JPEG, for damaged or truncated files, and for pictures of more than kMostPixels (limits.h),
/// which are refused before memory is asked for.
Tensor decode_image(const std::string& where, std::span<const std::byte> bytes);
Tensor read_image(const std::filesystem::path& path);

/// PNG of any kind: palettes become their colours, 16 bits 8, and what is transparent lies on black. Values are those
/// of the sRGB curve: a file that says that its values are of another one is converted.
Tensor decode_png(const std::string& where, std::span<const std::byte> bytes);
/// JPEG, baseline or progressive, grey or colour; CMYK is refused. The orientation that cameras note is not applied.
Tensor decode_jpeg(const std::string& where, std::span<const std::byte> bytes);

/// Whether the name ends in .png, .jpg or .jpeg, in any case.
bool is_image_name(const std::filesystem::path& path);

}  // namespace detent::data
