#pragma once

#include "detent/runtime/model.h"

namespace detent::runtime {

/// The elements of weights and biases, whatever their type; of a custom operation, of all its tensors.
std::int64_t parameter_count(const Node& node);
std::int64_t parameter_count(const Model& model);

/// The table: layer, operation, output shape, parameters, multiply-adds; then the totals.
std::string summary(const Model& model);

}  // namespace detent::runtime
