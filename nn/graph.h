#pragma once

#include <functional>
#include <map>

#include "nn/modules.h"

namespace detent::nn {

/// Makes a module from its options.
using ModuleFactory = std::function<std::shared_ptr<Module>(const nlohmann::json& options)>;
/// The kinds that can be made again from a file: one row a kind.
using ModuleKinds = std::map<std::string, ModuleFactory, std::less<>>;
/// The kinds of this folder.
const ModuleKinds& module_kinds();

/// A model: modules, and the edges between them, in an order in which they can run. It is built as it reads:
///
///   nn::Graph net;
///   auto x = net.input({28, 28, 1});
///   x = net.conv2d(x, {.out_channels = 32, .kernel = 3, .name = "conv1"});
///   x = net.relu(x);
///   net.output(net.linear(net.flatten(x), {.out_features = 10, .name = "fc"}));
///
/// Each call adds one module after those that it takes its inputs from. Modules without a name get their kind and a
/// number: "relu1". Copies share modules: `clone` copies them.
class Graph {
 public:
  /// A value in the graph: what a node gives, or the graph's input.
  struct Handle {
    std::size_t index;
    bool operator==(const Handle&) const = default;
  };
  struct Node {
    std::string name;
    std::shared_ptr<Module> module;  ///< null for the input
    std::vector<Handle> inputs;
    Shape shape;            ///< of one example
    std::string note = {};  ///< what a pass says of it, saved with it: "has no int8 form"
  };

  /// The input: the shape of one example. Must be the first call.
  Handle input(Shape shape);
  /// Any module. Names are letters, digits, '_', '-' and '.'. Throws Error if the name is taken or the input shapes do
  /// not fit.
  Handle add(std::shared_ptr<Module> module, std::vector<Handle> inputs, std::string name = {});
  /// Says which value is the result. Without it, the last node's.
  void output(Handle handle);
  /// Sets the node's note.
  void note(Handle handle, std::string text) { nodes_.at(handle.index).note = std::move(text); }

  Handle conv2d(Handle x, Conv2d::Options options);
  Handle linear(Handle x, Linear::Options options);
  Handle batch_norm(Handle x, BatchNorm::Options options = {});
  Handle relu(Handle x) { return activation(x, kernels::Activation::Relu); }
  Handle activation(Handle x, kernels::Activation function, std::string name = {});
  Handle max_pool(Handle x, Pool2d::Options options);
  Handle avg_pool(Handle x, Pool2d::Options options);
  Handle global_avg_pool(Handle x, std::string name = {});
  Handle dropout(Handle x, double p, std::string name = {});
  Handle flatten(Handle x, std::string name = {});
  Handle add(Handle a, Handle b, std::string name = {});

  /// Nodes in running order; nodes()[0] is the input.
  const std::vector<Node>& nodes() const { return nodes_; }
  const Node& node(Handle handle) const { return nodes_.at(handle.index); }
  /// Throws Error, listing the names that exist, if there is none.
  const Node& node(std::string_view name) const;
  Handle output() const { return output_; }
  const Shape& input_shape() const;
  const Shape& output_shape() const { return node(output_).shape; }
  /// How many nodes (and the output) read this value.
  std::size_t consumers(Handle handle) const;

  /// Called with each node and its value, in running order.
  using Tap = std::function<void(const Node&, const Variable&)>;
  /// x [N, ...input_shape]. Values are dropped as soon as nobody needs them.
  Variable forward(Context& context, const Variable& x, const Tap& tap = {});

  /// Sets the initial weights of every module from `seed` and the module's name.
  void initialize(std::uint64_t seed);
  std::vector<NamedParameter> parameters();
  /// Drops all gradients.
  void clear_gradients();
  std::int64_t parameter_count() const;
  /// The same graph with modules and tensors of its own. `kinds` as in graph_from_json.
  Graph clone(const ModuleKinds& kinds = module_kinds()) const;

 private:
  std::vector<Node> nodes_;
  Handle output_{0};
  bool output_is_chosen_ = false;
  std::vector<std::size_t> last_use_;  // by value: the last node that reads it; its own index if none does
};

/// The table: layer, kind, output shape, parameters, multiply-adds; then the totals.
std::string summary(const Graph& graph);

/// {"input": [28, 28, 1], "nodes": [{"name", "kind", "inputs": [names], "options"}], "output": name}; a node that has a
/// note has a "note", too.
nlohmann::json to_json(const Graph& graph);
/// Throws Error for an unknown kind or option, a missing input, a shape that does not fit.
Graph graph_from_json(const nlohmann::json& json, const ModuleKinds& kinds);

}  // namespace detent::nn
