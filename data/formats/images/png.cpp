#include <png.h>

#include <memory>

#include "detent/core/error.h"
#include "detent/data/formats/images/image_file.h"
#include "detent/data/formats/limits.h"

namespace detent::data {

Tensor decode_png(const std::string& where, std::span<const std::byte> bytes) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  const std::unique_ptr<png_image, decltype(&png_image_free)> owner(&image, &png_image_free);
  const auto must = [&](int result) { check(result != 0, where, ": PNG: damaged or truncated: ", image.message); };
  must(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()));
  const std::int64_t height = image.height, width = image.width;
  check(height * width <= kMostPixels, where, ": PNG: has ", height, " x ", width, " pixels: expected at most ",
        kMostPixels);
  const bool is_colour = (image.format & PNG_FORMAT_FLAG_COLOR) != 0;
  image.format = is_colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;  // else 16 bits would be taken for linear light
  Tensor pixels = Tensor::empty({1, height, width, is_colour ? 3 : 1}, DType::U8);
  const png_color black{};
  must(png_image_finish_read(&image, &black, pixels.raw(), 0, nullptr));
  return pixels;
}

}  // namespace detent::data
