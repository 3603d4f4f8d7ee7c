#pragma once

#include <map>
#include <string>

#include "detent/nn/graph.h"

namespace detent::train {

/// The tensors of a graph as they are now: parameters and state.
class Snapshot {
 public:
  explicit Snapshot(const nn::Graph& graph);

  /// Gives them back to a graph of the same modules, in the memory that its tensors have, so that who shares it sees
  /// them. What the graph has and the snapshot does not, stays. Throws Error for a tensor of another shape.
  void restore(const nn::Graph& graph) const;

 private:
  std::map<std::string, Tensor> tensors_;  // by module and slot
};

}  // namespace detent::train
