#pragma once

#include <cstdint>

#include "detent/kernels/codes/requantize_avx512.h"

/// The innermost loops of integer convolutions on VNNI units. Private to int8_conv.cpp.
namespace detent::kernels {

#if defined(DETENT_HAS_INT8_TILES)

/// A tile: the sums of some pixels and 16 * V outputs, held in registers until they are codes.
///
/// The kernel's window on the image is `kernel_rows` runs of 4 * groups neighbouring bytes (a row of the window: its
/// columns and channels lie side by side), `kernel_row_stride` apart. The last group of a run may reach up to three
/// bytes beyond the window; its weights are 0 there, but the bytes must be readable.
struct Int8Tile {
  const std::uint8_t* x = nullptr;  ///< window of the first pixel
  std::int64_t pixel_stride = 0;    ///< bytes from a pixel's window to the next one's
  std::int64_t line_stride = 0;     ///< pooled tiles: bytes from the upper pixels' windows to the lower ones'
  std::int64_t kernel_rows = 1;
  std::int64_t kernel_row_stride = 0;
  std::int64_t groups = 1;
  const std::int8_t* weight = nullptr;  ///< [kernel_rows * groups][V][16 outputs][4 codes], aligned to 64
  const std::int32_t* start = nullptr;  ///< [16 V]: what the sums begin with
  TileRequantization requantization = {};
  TileObservation observation = {};  ///< read by observed kernels only
  std::uint64_t stored = 0;          ///< bit o: output o exists
  std::uint8_t* y = nullptr;
  std::int64_t y_stride = 0;  ///< bytes from a pixel's codes to the next one's
};

using Int8Kernel = void (*)(const Int8Tile&);

inline constexpr int kTileVectors = 4;
inline constexpr int kTilePixels = 6;
/// A pooled tile has the pixels of this many windows of 2 x 2, and half the outputs.
inline constexpr int kPooledTileVectors = 2;
inline constexpr int kPooledTileWindows = 3;

/// The codes of `pixels` (1 to kTilePixels) pixels and 16 * `vectors` (1 to kTileVectors) outputs.
Int8Kernel int8_kernel(int pixels, int vectors, bool has_bias);
/// The same with masks and ranges, for training. REQUIRES: a bias, and all 16 * `vectors` outputs stored.
Int8Kernel int8_observed_kernel(int pixels, int vectors);
/// The largest code of each of `windows` windows of 2 x 2 pixels, side by side. The largest sum is what is made a code:
/// requantization is monotone.
Int8Kernel int8_pooled_kernel(int windows, int vectors, bool has_bias);

#endif

}  // namespace detent::kernels
