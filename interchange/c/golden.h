#pragma once

#include <span>
#include <vector>

#include "detent/interchange/c/program.h"

namespace detent::interchange::c {

/// Examples and what they must become.
struct Golden {
  std::int64_t examples = 0;
  std::vector<Tensor> entries = {};  ///< of each entry [N, elements]: u8 where it is codes, else f32
  Tensor result = {};                ///< likewise
};

/// What the executor of the requantization gives: Plan, or TargetPlan. Throws Error for examples that do not fit.
Golden golden_of(const Program& program, Requantize requantize, std::span<const Tensor> examples);

}  // namespace detent::interchange::c
