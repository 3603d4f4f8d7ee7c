#pragma once

#include <array>
#include <cstdint>

/// The innermost loops of WeightOnlyProduct. Private to this folder.
namespace detent::kernels::weight_only {

/// Codes lie in blocks of 16 bytes: byte l of a block has the codes l, 16 + l, ... of its 16 * 8 / bits, the first in
/// the lowest bits. Of 8 bits they are in two's complement; of fewer, 2^(bits - 1) is added.
inline constexpr std::int64_t kBlockBytes = 16;
inline constexpr std::int64_t kLanes = 16;
/// The blocks of so many outputs lie side by side, so that a layer of one row reads its memory from end to end.
inline constexpr std::int64_t kTogether = 4;

/// The results of some rows for the outputs [first, end).
struct Tile {
  const float* x = nullptr;  ///< rows of whole blocks, group by group
  std::int64_t x_stride = 0;
  const std::uint8_t* weight = nullptr;  ///< [output / kTogether][block][output % kTogether][kBlockBytes]
  std::int64_t weight_row = 0;           ///< bytes of an output
  std::int64_t groups = 1;
  std::int64_t blocks = 0, last_blocks = 0;  ///< of a group, and of the last one
  const float* scale = nullptr;              ///< [output][group]
  const float* bias = nullptr;
  std::int64_t first = 0, end = 0;
  float lowest = 0;
  float* y = nullptr;
  std::int64_t y_stride = 0;  ///< from row to row
};

using Kernel = void (*)(const Tile& tile);

inline constexpr int kMostRows = 4;

/// What a processor has: kernels of 1 to `rows` rows, [bits: 8, 4, 2][rows - 1].
struct Unit {
  int rows = 1;
  std::array<std::array<Kernel, kMostRows>, 3> kernels = {};
};

/// The unit to use on this processor.
const Unit& unit();

#if defined(__x86_64__) && defined(__GNUC__)
const Unit& avx512_unit();
const Unit& avx2_unit();
#endif

}  // namespace detent::kernels::weight_only
