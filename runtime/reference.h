#pragma once

#include <span>
#include <vector>

#include "detent/runtime/model.h"

namespace detent::runtime {

/// All values of a model, by ValueId, each [N, ...shape], for inputs of N examples: every operation in a few plain
/// loops by docs/numerics.md, for tests and for who writes another executor. Codes are those of every executor; f32 is
/// computed in double and rounded once an operation. Throws Error as Model::validate, and for inputs that do not fit.
std::vector<Tensor> run_reference(const Model& model, std::span<const Tensor> inputs);

}  // namespace detent::runtime
