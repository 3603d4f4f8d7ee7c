#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/passes/prepare.h"

namespace detent::quant {
namespace {

using nn::Graph;

template <typename Fn>
void for_each_module(Graph& graph, Fn&& fn) {
  for (const Graph::Node& node : graph.nodes()) {
    if (node.module) {
      fn(node);
    }
  }
}

}  // namespace

void freeze_observers(Graph& graph) {
  freeze_batch_norm(graph);
  for_each_module(graph, [](const Graph::Node& node) {
    if (auto* const quantized = dynamic_cast<QuantizedOutput*>(node.module.get())) {
      try {
        quantized->output().freeze();
      } catch (const Error& error) {
        fail(node.name, ": ", error.what());
      }
    }
  });
}

void thaw_observers(Graph& graph) {
  for_each_module(graph, [](const Graph::Node& node) {
    if (auto* const quantized = dynamic_cast<QuantizedOutput*>(node.module.get())) {
      quantized->output().thaw();
    }
  });
}

void freeze_batch_norm(Graph& graph) {
  for_each_module(graph, [](const Graph::Node& node) {
    if (auto* const product = dynamic_cast<QatProduct*>(node.module.get()); product && product->batch_norm()) {
      product->batch_norm()->freeze();
    } else if (auto* const batch_norm = dynamic_cast<nn::BatchNorm*>(node.module.get())) {
      batch_norm->freeze();
    }
  });
}

}  // namespace detent::quant
