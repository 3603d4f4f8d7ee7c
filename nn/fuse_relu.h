#pragma once

#include "detent/nn/graph.h"

namespace detent::nn {

/// The graph in which every conv2d, linear, batch norm and add whose only reader is a ReLU does that ReLU in its own
/// kernel: the module with relu = true takes the place of both, under its own name, and whoever read the ReLU reads it.
/// A module that stands at several nodes does so only where all of them feed a ReLU alone, and stays one module; an add,
/// which owns nothing, at each node by itself.
///
/// The result computes the same numbers, and it trains and is saved under the same names: new modules' parameters lie
/// in the memory of the old ones', so a step of either graph is a step of both, and all other modules are shared.
/// (Gradients are not: use one of the two at a time.) A graph without weights gives one without; then nothing is shared
/// but the modules that stayed.
Graph fuse_relu(const Graph& graph);

}  // namespace detent::nn
