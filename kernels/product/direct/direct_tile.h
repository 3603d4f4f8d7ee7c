#pragma once

#include <cstddef>
#include <cstdint>

#include "detent/core/dtype.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define DETENT_HAS_DIRECT_TILES 1
#endif

/// The innermost loops of float convolutions. Private to this folder.
namespace detent::kernels::direct {

/// A tile: the sums of some pixels and some vectors of outputs, held in registers until they are stored.
///
/// Each pixel sees `rows` x `columns` runs of 4 * groups neighbouring bytes: a group is one f32 or two bf16 of the
/// input, which meet one vector of weights each. A run's last group may reach one bf16 beyond what the product sees;
/// its weight is 0 there, but the number must be readable.
struct Tile {
  const std::byte* x = nullptr;   ///< first run of the first pixel
  std::int64_t pixel_stride = 0;  ///< bytes from a pixel's runs to the next one's in the same line of the tile
  std::int64_t line_stride = 0;   ///< bytes from a line of the tile to the next
  std::int64_t rows = 0, columns = 0;
  std::int64_t row_stride = 0, column_stride = 0;  ///< bytes from run to run
  std::int64_t groups = 0;
  const float* weight = nullptr;  ///< [rows][columns][groups][vectors][lanes], of f32 or pairs of bf16
  const float* bias = nullptr;    ///< of the first output; null: none
  const float* other = nullptr;   ///< is added to the sums, f32 in y's place; null: none
  bool relu = false;
  DType out = DType::F32;
  std::int64_t outputs = 0;  ///< of the last vector that exist
  std::byte* y = nullptr;
  std::int64_t y_pixel_stride = 0, y_line_stride = 0;  ///< in elements
};

using Kernel = void (*)(const Tile&);

inline constexpr int kMostVectors = 2;

/// What differs between processors and types. `kernel(lines, columns, vectors)` is defined for up to lines[vectors -
/// 1], columns[vectors - 1], and kMostVectors.
struct Unit {
  std::int64_t lanes;       ///< outputs of a vector
  std::int64_t per_group;   ///< numbers of a group
  int lines[kMostVectors];  ///< of a tile at most; as many sums as registers hold
  int columns[kMostVectors];
  Kernel (*kernel)(int lines, int columns, int vectors);
};

#if defined(DETENT_HAS_DIRECT_TILES)
const Unit& avx512_unit();
const Unit& avx512_bf16_unit();
const Unit& avx2_unit();
#endif

}  // namespace detent::kernels::direct
