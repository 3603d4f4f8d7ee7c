#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "detent/kernels/codes/requantize_tile.h"

/// The innermost loops of integer products. Private to kernels/product.
namespace detent::kernels {

/// How sums become real numbers: (float(sum) * scale) * x_scale + bias, at least `lowest`, each operation rounded to
/// f32 by itself.
struct TileReals {
  const float* scale = nullptr;  ///< by output, as `bias`
  const float* bias = nullptr;
  float x_scale = 1;
  float lowest = 0;
};

/// A tile: the sums of some pixels and V vectors of outputs, held in registers until they are written.
///
/// The kernel's window on the image is `kernel_rows` runs of 4 * groups neighbouring bytes (a row of the window: its
/// columns and channels lie side by side), `kernel_row_stride` apart. A group is four codes of a byte or two of two
/// bytes: see Int8Unit. The last group of a run may reach up to three bytes beyond the window; its weights are 0 there,
/// but the bytes must be readable. All strides are in bytes.
struct Int8Tile {
  const std::uint8_t* x = nullptr;  ///< window of the first pixel
  std::int64_t pixel_stride = 0;    ///< from a pixel's window to the next one's
  std::int64_t line_stride = 0;     ///< pooled tiles: from the upper pixels' windows to the lower ones'
  std::int64_t kernel_rows = 1;
  std::int64_t kernel_row_stride = 0;
  std::int64_t groups = 1;
  /// Groups of a pixel, where the kernel's rows are of three neighbouring pixels and pixels' windows begin one pixel
  /// apart; else 0.
  std::int64_t pixel_groups = 0;
  const std::int8_t* weight = nullptr;  ///< [kernel_rows * groups][V][outputs of a vector][4 bytes], aligned to 64
  const std::int32_t* start = nullptr;  ///< [V][outputs of a vector]: what the sums begin with
  TileRequantization requantization = {};
  TileObservation observation = {};     ///< read by observed kernels only
  TileAddition addition = {};           ///< read by adding kernels only, and so is `other`
  TileReals reals = {};                 ///< read by kernels of reals only
  const std::uint8_t* other = nullptr;  ///< codes that are added, y_stride bytes from pixel to pixel
  std::int64_t outputs = 0;             ///< those of the V vectors that exist, which are stored
  std::uint8_t* y = nullptr;            ///< codes, s32 sums or f32
  std::int64_t y_stride = 0;            ///< from a pixel's results to the next one's
};

using Int8Kernel = void (*)(const Int8Tile&);

/// Kernels of one kind: [V - 1][pixels - 1], of which those that a unit has registers for are there.
using Int8Kernels = std::array<std::span<const Int8Kernel>, 4>;

/// A vector unit.
struct Int8Unit {
  std::int64_t lanes = 0;           ///< outputs of a vector
  std::int64_t code_bytes = 0;      ///< of a code, and of a weight, in memory that tiles read: 1 or 2
  Int8Kernels codes;                ///< codes of sums that have their bias in them
  Int8Kernels biased_codes;         ///< codes with TileRequantization::bias
  Int8Kernels added, biased_added;  ///< codes of the sums with other codes
  /// Codes with their bias, masks and ranges, for training. REQUIRES: all outputs of the V vectors exist.
  Int8Kernels observed;
  /// The largest code of each of [pixels] windows of 2 x 2 pixels, side by side, without and with a bias. The largest
  /// sum is what is made a code: requantization is monotone.
  Int8Kernels pooled, biased_pooled;
  Int8Kernels sums;  ///< s32
  /// f32 of the sums, and of the largest sum of windows. REQUIRES: scales above 0, which makes them monotone.
  Int8Kernels reals, pooled_reals;
};

/// The unit to use on this processor, the first there is of: 512 bits with VNNI; 512 bits; 256 bits with VNNI; AVX2;
/// plain C++.
const Int8Unit& int8_unit();

/// The most vectors that kernels of a kind have.
inline std::int64_t most_vectors(const Int8Kernels& kernels) {
  std::int64_t vectors = 0;
  for (const auto& row : kernels) {
    vectors += row.empty() ? 0 : 1;
  }
  return vectors;
}

#if defined(__x86_64__) && defined(__GNUC__)
const Int8Unit& avx512_vnni_unit();
const Int8Unit& avx512_unit();
const Int8Unit& avx2_vnni_unit();
const Int8Unit& avx2_unit();
#endif

}  // namespace detent::kernels
