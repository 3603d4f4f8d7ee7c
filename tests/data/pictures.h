#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <jpeglib.h>
#include <png.h>

#include "detent/core/error.h"
#include "tests/data/temp_folder.h"

namespace detent {

/// A picture by its pixels, row by row, grey or red green blue.
struct Picture {
  std::uint32_t height = 0, width = 0, channels = 1;
  std::vector<std::uint8_t> pixels = {};

  static Picture of(std::uint32_t height, std::uint32_t width, std::uint32_t channels, std::uint8_t value) {
    return {height, width, channels, std::vector<std::uint8_t>(std::size_t{height} * width * channels, value)};
  }
};

inline void write_png(const std::filesystem::path& path, const Picture& picture) {
  std::filesystem::create_directories(path.parent_path());
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = picture.width;
  image.height = picture.height;
  image.format = picture.channels == 1 ? PNG_FORMAT_GRAY : picture.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_RGBA;
  check(png_image_write_to_file(&image, path.c_str(), 0, picture.pixels.data(), 0, nullptr) != 0, image.message);
}

inline void write_jpeg(const std::filesystem::path& path, const Picture& picture, bool is_progressive = false) {
  std::filesystem::create_directories(path.parent_path());
  std::FILE* const file = std::fopen(path.c_str(), "wb");
  check(file != nullptr, path.string());
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  jpeg_stdio_dest(&info, file);
  info.image_width = picture.width;
  info.image_height = picture.height;
  info.input_components = static_cast<int>(picture.channels);
  info.in_color_space = picture.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, 100, TRUE);
  if (is_progressive) {
    jpeg_simple_progression(&info);
  }
  jpeg_start_compress(&info, TRUE);
  while (info.next_scanline < info.image_height) {
    std::vector<std::uint8_t> row(picture.pixels.begin() + info.next_scanline * picture.width * picture.channels,
                                  picture.pixels.begin() + (info.next_scanline + 1) * picture.width * picture.channels);
    JSAMPROW rows = row.data();
    jpeg_write_scanlines(&info, &rows, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  std::fclose(file);
}

}  // namespace detent
