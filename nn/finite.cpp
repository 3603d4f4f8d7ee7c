#include "detent/nn/finite.h"

#include <algorithm>
#include <cmath>

namespace detent::nn {

void check_finite(std::span<const float> values, std::string_view what) {
  const auto found = std::ranges::find_if(values, [](float x) { return !std::isfinite(x); });
  if (found != values.end()) {
    fail(what, ": element ", found - values.begin(), ": expected a finite number, got ", *found,
         "; has training diverged?");
  }
}

void check_finite(Module& module, std::string_view what) {
  for (const Slot& slot : module.slots()) {
    if (slot.tensor->defined() && slot.tensor->dtype() == DType::F32) {
      check_finite(std::as_const(*slot.tensor).data<float>(), std::string(what) + ": " + slot.name);
    }
  }
}

void check_finite(const Graph& graph, std::string_view what) {
  for (const Graph::Node& node : graph.nodes()) {
    if (node.module) {
      check_finite(*node.module, std::string(what) + ": " + node.name);
    }
  }
}

}  // namespace detent::nn
