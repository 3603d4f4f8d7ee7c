#pragma once

#include "detent/quant/kinds/kind.h"
#include "detent/runtime/model_file.h"

/// Modules that a converted model holds as they are: those whose kind has no lower rule.
namespace detent::quant {

/// A copy of a node's module, as the operation that runs its forward pass in inference.
std::shared_ptr<const runtime::CustomOp> module_op(const nn::Graph::Node& node, const Kinds& kinds,
                                                   std::span<const runtime::ValueType> inputs);

/// What runtime::load_model makes such operations by, from a file. The result does not outlive `kinds`.
runtime::CustomFactory custom_ops_of(const Kinds& kinds = standard_kinds());

}  // namespace detent::quant
