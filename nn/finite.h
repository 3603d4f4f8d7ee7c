#pragma once

#include "detent/nn/graph.h"

namespace detent::nn {

/// Throws Error, naming `what`, element and value, unless all of `values` are finite.
void check_finite(std::span<const float> values, std::string_view what);
/// The same for all real numbers that a module owns, naming the slot too. Values that are not set are passed over.
void check_finite(Module& module, std::string_view what);
/// The same for all modules of a graph, naming them too.
void check_finite(const Graph& graph, std::string_view what);

}  // namespace detent::nn
