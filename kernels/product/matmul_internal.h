#pragma once

#include <algorithm>
#include <cstdint>

#include "detent/core/threads/parallel.h"

namespace detent::kernels {

/// A cut of rows or columns of a matrix for parallel products: about `grain` of them a piece, at most 16 pieces, with
/// borders at multiples of 16 so that vectors stay whole.
class MatrixCut {
 public:
  MatrixCut() = default;
  MatrixCut(std::int64_t total, std::int64_t grain)
      : total_(total),
        units_{(total + kUnit - 1) / kUnit, std::clamp<std::int64_t>((total + grain * 2 / 3) / grain, 1, 16)} {}

  std::int64_t count() const { return units_.count; }
  Range operator[](std::int64_t piece) const {
    const Range units = units_[piece];
    return {units.begin * kUnit, std::min(units.end * kUnit, total_)};
  }

 private:
  static constexpr std::int64_t kUnit = 16;
  std::int64_t total_ = 0;
  Slices units_;
};

}  // namespace detent::kernels
