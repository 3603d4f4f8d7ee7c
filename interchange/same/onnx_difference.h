#pragma once

#include <optional>

#include "detent/interchange/onnx/model.h"
#include "detent/interchange/same/difference.h"

namespace detent::interchange {

/// The first difference of two models of the ONNX format in the order of their operations: of each what it is, what it
/// reads, its attributes, and its constants to the bit; then inputs, outputs and opsets. A constant "conv1/weight" is
/// field "weight" of node "conv1". Metadata, the names of operations and the order of constants do not count.
std::optional<Difference> first_difference(const onnx::Model& a, const onnx::Model& b);

}  // namespace detent::interchange
