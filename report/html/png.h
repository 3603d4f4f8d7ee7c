#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace detent::report::html {

/// An image of bytes [height, width, channels] as a PNG file (RFC 2083), not compressed. REQUIRES: 1 or 3 channels, at
/// most 4096 pixels a side, as many bytes as that makes; throws Error otherwise.
std::string to_png(std::span<const std::uint8_t> pixels, std::int64_t height, std::int64_t width,
                   std::int64_t channels);

}  // namespace detent::report::html
