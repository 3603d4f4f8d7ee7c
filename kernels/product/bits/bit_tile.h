#pragma once

#include <array>

#include "detent/kernels/product/int8/tile.h"

/// Integer products by bits: the sum of codes of at most 2 bits times weights of -1, 0 and 1, exactly, as
///
///   sum x w = sum over planes p of 2^p * (count(x_p & plus) - count(x_p & minus))
///
/// where x_p is bit p of the codes, and `plus` and `minus` say where weights are 1 and -1. Where none is 0, one mask
/// will do: sum x w = 2 * (sum over p of 2^p * count(x_p & plus)) - sum x. A group is 32 such bits. Private to
/// kernels/product.
namespace detent::kernels {

/// A tile whose codes and weights are bits. Int8Tile::x is of plane 0, and Int8Tile::weight is
/// [kernel_rows * groups][V][masks][outputs of a vector][4 bytes].
struct BitTile : Int8Tile {
  int planes = 1;                        ///< that the kernel reads
  bool is_upper = false;                 ///< of one plane: its bits count twice
  std::int64_t plane_stride = 0;         ///< bytes from a plane to the next one
  const std::int32_t* totals = nullptr;  ///< with one mask: sum x of the first pixel's window, then of the next one's
  std::int64_t totals_stride = 0;        ///< pooled tiles: from the upper pixels' totals to the lower ones'
};

inline constexpr int kMostPlanes = 2;
inline constexpr int kMostMasks = 2;

/// What a unit takes, of eight outputs, where four codes and weights of 16 bits in 256 take 4: measured.
struct BitCost {
  double group = 0;  ///< of one plane and one mask
  double row = 0;    ///< of the window, beside its groups
  double pixel = 0;  ///< to make it a plane, and to add up its window; shared by all outputs
};

/// The kernels of a vector unit, which take BitTile: [planes - 1][masks - 1].
struct BitUnit {
  std::array<std::array<Int8Unit, kMostMasks>, kMostPlanes> kernels;
  BitCost cost;

  const Int8Unit& of(int planes, int masks) const {
    return kernels[static_cast<std::size_t>(planes - 1)][static_cast<std::size_t>(masks - 1)];
  }
};

/// The unit to use on this processor, the first there is of: 512 bits with VPOPCNTDQ; AVX2; plain C++.
const BitUnit& bit_unit();

#if defined(__x86_64__) && defined(__GNUC__)
const BitUnit& avx512_bit_unit();
const BitUnit& avx2_bit_unit();
#endif

}  // namespace detent::kernels
