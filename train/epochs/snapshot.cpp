#include "detent/train/epochs/snapshot.h"

namespace detent::train {
namespace {

template <typename Use>
void for_each_slot(const nn::Graph& graph, Use use) {
  for (const nn::Graph::Node& node : graph.nodes()) {
    if (node.owns_module()) {
      for (const nn::Slot& slot : node.module->slots()) {
        use(node.name + "/" + slot.name, *slot.tensor);
      }
    }
  }
}

}  // namespace

Snapshot::Snapshot(const nn::Graph& graph) {
  for_each_slot(graph, [&](const std::string& name, const Tensor& tensor) {
    if (tensor.defined()) {
      tensors_[name] = tensor.clone();
    }
  });
}

void Snapshot::restore(const nn::Graph& graph) const {
  for_each_slot(graph, [&](const std::string& name, Tensor& tensor) {
    const auto kept = tensors_.find(name);
    if (kept == tensors_.end()) {
      return;
    }
    if (tensor.defined() && tensor.shape() == kept->second.shape()) {
      tensor.copy_from(kept->second);
    } else {
      tensor = kept->second.clone();
    }
  });
  for (const nn::Graph::Node& node : graph.nodes()) {
    if (node.owns_module()) {
      node.module->loaded();
    }
  }
}

}  // namespace detent::train
