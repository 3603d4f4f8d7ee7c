#include "detent/nn/fuse_relu.h"

#include "detent/nn/fusions.h"

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

std::shared_ptr<Module> batch_norm_with_relu(Module& module) {
  auto& source = static_cast<BatchNorm&>(module);
  std::shared_ptr<Module> fused = with_relu<BatchNorm>(module);
  auto& norm = static_cast<BatchNorm&>(*fused);
  norm.running_mean() = source.running_mean();
  norm.running_variance() = source.running_variance();
  return fused;
}

std::shared_ptr<Module> add_with_relu(Module&) { return std::make_shared<Add>(Add::Options{.relu = true}); }

using Fuse = std::shared_ptr<Module> (*)(Module&);

/// One row a class that can do the ReLU after it.
const std::map<std::type_index, Fuse>& fusable_classes() {
  static const std::map<std::type_index, Fuse> classes = {{typeid(Conv2d), &with_relu<Conv2d>},
                                                          {typeid(Linear), &with_relu<Linear>},
                                                          {typeid(BatchNorm), &batch_norm_with_relu},
                                                          {typeid(Add), &add_with_relu}};
  return classes;
}

}  // namespace

Graph fuse_relu(const Graph& graph) {
  const std::vector<Fusion> fusions = find_fusions(graph, [](const Graph::Node& taker, const Graph::Node& node) {
    return fusable_classes().contains(type_of(*taker.module)) && is_relu(node);
  });
  Graph fused;
  std::vector<Graph::Handle> made(graph.nodes().size(), Graph::Handle{0});
  std::vector<bool> is_done(graph.nodes().size(), false);
  std::map<const Module*, std::shared_ptr<Module>> fused_modules;
  for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
    made[i] = fused.input(graph.inputs()[i].shape, graph.inputs()[i].name);
  }
  for (std::size_t i = graph.inputs().size(); i < graph.nodes().size(); ++i) {
    if (is_done[i]) {
      continue;
    }
    const Graph::Node& node = graph.nodes()[i];
    std::vector<Graph::Handle> inputs;
    for (const Graph::Handle input : node.inputs) {
      inputs.push_back(made[input.index]);
    }
    std::shared_ptr<Module> module = node.module;
    if (fusions[i].relu) {
      std::shared_ptr<Module>& known = fused_modules[node.module.get()];
      known = known ? known : fusable_classes().at(type_of(*node.module))(*node.module);
      module = known;
    }
    made[i] = fused.add(std::move(module), std::move(inputs), node.name);
    if (fusions[i].relu) {
      made[fusions[i].relu->index] = made[i];
      is_done[fusions[i].relu->index] = true;
    }
  }
  fused.output(made[graph.output().index]);
  return fused;
}

}  // namespace detent::nn
