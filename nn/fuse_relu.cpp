#include "nn/fuse_relu.h"

namespace detent::nn {
namespace {

template <typename M>
std::shared_ptr<Module> with_relu(Module& module) {
  auto& source = static_cast<M&>(module);
  typename M::Options options = source.settings();
  options.relu = true;
  auto fused = std::make_shared<M>(std::move(options));
  fused->weight() = {.value = source.weight().value, .gradient = {}, .decay = source.weight().decay};
  fused->bias() = {.value = source.bias().value, .gradient = {}, .decay = source.bias().decay};
  return fused;
}

using Fuse = std::shared_ptr<Module> (*)(Module&);

/// One row a kind that can do the ReLU after it.
const std::map<std::string_view, Fuse>& fusable_kinds() {
  static const std::map<std::string_view, Fuse> kinds = {{"conv2d", &with_relu<Conv2d>},
                                                         {"linear", &with_relu<Linear>}};
  return kinds;
}

bool is_relu(const Graph::Node& node) {
  return node.module && node.module->kind() == "activation" &&
         static_cast<const ActivationLayer&>(*node.module).settings().function == kernels::Activation::Relu;
}

/// Whether `relu` is the only reader of a module that can do it.
bool is_fused_into_input(const Graph& graph, const Graph::Node& relu) {
  if (!is_relu(relu)) {
    return false;
  }
  const Graph::Handle input = relu.inputs[0];
  const std::shared_ptr<Module>& module = graph.node(input).module;
  return module && fusable_kinds().contains(module->kind()) && graph.consumers(input) == 1;
}

}  // namespace

Graph fuse_relu(const Graph& graph) {
  const std::vector<Graph::Node>& nodes = graph.nodes();
  std::vector<char> gets_relu(nodes.size(), 0);
  for (const Graph::Node& node : nodes) {
    if (is_fused_into_input(graph, node)) {
      gets_relu[node.inputs[0].index] = 1;
    }
  }
  Graph fused;
  std::vector<Graph::Handle> made{fused.input(graph.input_shape())};
  for (std::size_t i = 1; i < nodes.size(); ++i) {
    const Graph::Node& node = nodes[i];
    if (is_fused_into_input(graph, node)) {
      made.push_back(made[node.inputs[0].index]);
      continue;
    }
    std::vector<Graph::Handle> inputs;
    for (const Graph::Handle input : node.inputs) {
      inputs.push_back(made[input.index]);
    }
    std::shared_ptr<Module> module =
        gets_relu[i] != 0 ? fusable_kinds().at(node.module->kind())(*node.module) : node.module;
    made.push_back(fused.add(std::move(module), std::move(inputs), node.name));
  }
  fused.output(made[graph.output().index]);
  return fused;
}

}  // namespace detent::nn
