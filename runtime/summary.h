#pragma once

#include "detent/runtime/plan.h"

namespace detent::runtime {

/// The elements of weights and biases, whatever their type; of a custom operation, of all its tensors.
std::int64_t parameter_count(const Node& node);
std::int64_t parameter_count(const Model& model);

/// Bytes of what a plan keeps of the model's tensors: weights, scales, multipliers, biases and tables, packed for its
/// kernels, where outputs and channels are filled up to whole vectors; and as they are, where nothing packs them.
/// Whoever drops the model has these alone in memory.
std::size_t parameter_bytes(Plan& plan);

/// The table: layer, operation, output shape, parameters, multiply-adds; then the totals.
std::string summary(const Model& model);

}  // namespace detent::runtime
