#pragma once

#include <optional>

#include "nn/graph.h"

/// What the passes over graphs share.
namespace detent::quant {

/// A module of its own with the same options and copies of the same tensors.
std::shared_ptr<nn::Module> clone_module(nn::Module& module);
/// Copies the tensors of `from` into the slots of `to`, which has the same slots.
void copy_slots(nn::Module& from, nn::Module& to);
/// The one node that reads the value of node `index`, if there is only one and the value is not the graph's output.
std::optional<std::size_t> sole_consumer(const nn::Graph& graph, std::size_t index);

}  // namespace detent::quant
