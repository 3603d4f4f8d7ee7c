#pragma once

#include "detent/kernels/product/int8/tile.h"

/// Tiles of linear layers whose weights take half a byte. Private to this folder.
///
/// A vector of weights (Int8Tile::weight) holds those of two groups, of the first in the lower halves of bytes and of
/// the second in the upper halves, in two's complement: [(groups + 1) / 2][V][outputs of a vector][4 bytes]. Sums are
/// 16 times as large until all groups are in them, and must fit so.
namespace detent::kernels {

/// The unit, with kernels of codes and of added codes alone: of 512 bits with VNNI; null where the processor has none.
const Int8Unit* half_unit();

}  // namespace detent::kernels
