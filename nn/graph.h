#pragma once

#include <functional>
#include <map>
#include <optional>

#include "detent/nn/modules/modules.h"

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
/// Each call adds one node after those that it takes its inputs from. Nodes without a name get their module's kind and
/// a number: "relu1". Copies share modules: `clone` copies them.
///
/// A module may stand at several nodes (shared weights). It belongs to the first of them, by whose name its parameters
/// and slots are listed, initialized, counted and saved, once; gradients of all its uses add up.
class Graph {
 public:
  /// A value in the graph: what a node gives, or an input of the graph.
  struct Handle {
    std::size_t index;
    bool operator==(const Handle&) const = default;
  };
  struct Node {
    std::string name;
    std::shared_ptr<Module> module;  ///< null for an input
    std::vector<Handle> inputs;
    Shape shape;                        ///< of one example
    std::optional<Handle> shares = {};  ///< the first node at which `module` stands, where that is an earlier one
    std::string note = {};              ///< what a pass says of it, saved with it: "has no int8 form"

    /// Whether the module is to be visited here by what visits each module once.
    bool owns_module() const { return module != nullptr && !shares; }
  };

  /// An input: the shape of one example, of any rank. There may be several; they come before all modules. The first is
  /// called "input", if it is given no name, others "input1", ...
  Handle input(Shape shape, std::string name = {});
  /// Any module, also one that stands in the graph already. Names are letters, digits, '_', '-' and '.'. Throws Error
  /// if the name is taken, or the input shapes do not fit the module, here or at its first node.
  Handle add(std::shared_ptr<Module> module, std::vector<Handle> inputs, std::string name = {});
  /// `stem` and the first number, from 1, that makes a name that is free: "relu1".
  std::string free_name(std::string_view stem);
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
  Handle softmax(Handle x, std::string name = {});
  Handle add(Handle a, Handle b, std::string name = {});

  /// Nodes in running order, the inputs first.
  const std::vector<Node>& nodes() const { return nodes_; }
  /// The inputs, in the order in which `forward` takes them.
  std::span<const Node> inputs() const { return {nodes_.data(), inputs_}; }
  const Node& node(Handle handle) const { return nodes_.at(handle.index); }
  /// Throws Error, listing names that exist, if there is none.
  const Node& node(std::string_view name) const;
  std::optional<Handle> find(std::string_view name) const;
  Handle output() const { return output_; }
  /// Of the only input. Throws Error if there is none or more than one.
  const Shape& input_shape() const;
  const Shape& output_shape() const { return node(output_).shape; }
  /// How many nodes (and the output) read this value.
  std::size_t consumers(Handle handle) const;
  /// The last node that reads this value; the value's own if none does.
  Handle last_reader(Handle handle) const { return {readers_.at(handle.index).last}; }
  /// The one node that reads this value; nullopt if there are more or none, or if the value is the output.
  std::optional<Handle> sole_consumer(Handle handle) const;

  /// Called with each node and its value, in running order.
  using Tap = std::function<void(const Node&, const Variable&)>;
  /// Each of `inputs` is [N, ...shape of that input]. Values are dropped as soon as nobody needs them.
  Variable forward(Context& context, std::span<const Variable> inputs, const Tap& tap = {});
  /// The same of a graph with one input.
  Variable forward(Context& context, const Variable& x, const Tap& tap = {}) {
    return forward(context, std::span(&x, 1), tap);
  }

  /// Sets the initial weights of every module from `seed` and the name of its first node.
  void initialize(std::uint64_t seed);
  /// Each parameter once.
  std::vector<NamedParameter> parameters();
  /// Drops all gradients.
  void clear_gradients();
  /// The elements of all parameters; where there are no weights yet, of what they will be.
  std::int64_t parameter_count() const;
  /// The same graph with modules and tensors of its own. `kinds` as in graph_from_json.
  Graph clone(const ModuleKinds& kinds = module_kinds()) const;

 private:
  struct Readers {
    std::size_t count;  // nodes that read the value
    std::size_t last;   // of them; the value's own index if none does
  };
  Shape bound_shape(Module& module, const std::vector<Handle>& inputs, std::optional<Handle> owner) const;
  std::vector<Shape> shapes_of(const std::vector<Handle>& values) const;

  std::vector<Node> nodes_;
  std::size_t inputs_ = 0;  // the first so many nodes
  Handle output_{0};
  bool output_is_chosen_ = false;
  std::vector<Readers> readers_;  // by value
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::map<const Module*, std::size_t> by_module_;                // the first node
  std::map<std::string, std::int64_t, std::less<>> next_number_;  // by stem: no lower one is free
};

/// The table: layer, kind, output shape, parameters, multiply-adds; then the totals.
std::string summary(const Graph& graph);

/// {"input": [28, 28, 1], "nodes": [{"name", "kind", "inputs": [names], "options"}], "output": name}
/// Where there are several inputs, or the only one is not called "input", it is "inputs": [{"name", "shape"}] instead.
/// A node whose module stands at an earlier one is {"name", "inputs", "shares": name of the module's first node}. A
/// node that has a note has a "note", too.
nlohmann::json to_json(const Graph& graph);
/// Throws Error for an unknown kind or option, a missing input, a shape that does not fit.
Graph graph_from_json(const nlohmann::json& json, const ModuleKinds& kinds);
/// The same from its text. Throws Error for what is no JSON, is nested deeper than 100
/// brackets or longer than 64 MB.
Graph graph_from_text(std::string_view text, const ModuleKinds& kinds);

}  // namespace detent::nn
