#include "detent/nn/fuse_relu.h"

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

/// One row a class that can do the ReLU after it.
const std::map<std::type_index, Fuse>& fusable_classes() {
  static const std::map<std::type_index, Fuse> classes = {{typeid(Conv2d), &with_relu<Conv2d>},
                                                          {typeid(Linear), &with_relu<Linear>}};
  return classes;
}

bool is_relu(const Graph::Node& node) {
  const auto* const activation = exactly<const ActivationLayer>(node.module.get());
  return activation != nullptr && activation->settings().function == kernels::Activation::Relu;
}

/// Whether the value of node `index` goes into a ReLU alone, and its module can do that ReLU.
bool feeds_relu_alone(const Graph& graph, std::size_t index) {
  const Graph::Handle value{index};
  const std::shared_ptr<Module>& module = graph.node(value).module;
  return module && fusable_classes().contains(type_of(*module)) && graph.consumers(value) == 1 &&
         is_relu(graph.node(graph.last_reader(value)));
}

/// The modules that take their ReLU in: those of which it holds at every node.
std::map<Module*, std::shared_ptr<Module>> fused_modules(const Graph& graph) {
  std::map<Module*, bool> all_feed;
  for (std::size_t i = graph.inputs().size(); i < graph.nodes().size(); ++i) {
    Module* const module = graph.nodes()[i].module.get();
    const auto known = all_feed.try_emplace(module, true).first;
    known->second = known->second && feeds_relu_alone(graph, i);
  }
  std::map<Module*, std::shared_ptr<Module>> fused;
  for (const auto& [module, feeds] : all_feed) {
    if (feeds) {
      fused[module] = fusable_classes().at(type_of(*module))(*module);
    }
  }
  return fused;
}

}  // namespace

Graph fuse_relu(const Graph& graph) {
  const std::map<Module*, std::shared_ptr<Module>> fused_of = fused_modules(graph);
  Graph fused;
  std::vector<Graph::Handle> made;
  for (const Graph::Node& input : graph.inputs()) {
    made.push_back(fused.input(input.shape, input.name));
  }
  for (std::size_t i = graph.inputs().size(); i < graph.nodes().size(); ++i) {
    const Graph::Node& node = graph.nodes()[i];
    std::vector<Graph::Handle> inputs;
    for (const Graph::Handle input : node.inputs) {
      inputs.push_back(made[input.index]);
    }
    if (is_relu(node) && fused_of.contains(graph.node(node.inputs[0]).module.get())) {
      made.push_back(inputs[0]);
      continue;
    }
    const auto found = fused_of.find(node.module.get());
    made.push_back(fused.add(found == fused_of.end() ? node.module : found->second, std::move(inputs), node.name));
  }
  fused.output(made[graph.output().index]);
  return fused;
}

}  // namespace detent::nn
