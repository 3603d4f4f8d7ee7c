#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "detent/core/text/nearest.h"
#include "detent/io/description.h"
#include "detent/io/option_reader.h"
#include "detent/nn/graph.h"

namespace detent::nn {
namespace {

using nlohmann::json;

/// What an input without a name is called, if it is the only one.
constexpr std::string_view kOnlyInput = "input";

/// object[key], or an Error that names what is missing.
const json& member(const json& object, const char* key, std::string_view where) {
  check(object.is_object() && object.contains(key), "graph: ", where, " has no '", key, "'");
  return object[key];
}

std::string text(const json& object, const char* key, std::string_view where) {
  const json& value = member(object, key, where);
  check(value.is_string(), "graph: ", where, ": ", key, ": expected a text, got ", in_message(value));
  return value.get<std::string>();
}

void check_keys(const json& object, const std::set<std::string>& known, std::string_view where) {
  for (const auto& [key, value] : object.items()) {
    if (!known.contains(key)) {
      const std::vector<std::string> names(known.begin(), known.end());
      fail("graph: ", where, ": unknown key '", key, "'", did_you_mean(key, names));
    }
  }
}

Shape shape_from_json(const json& value) {
  const bool is_shape = value.is_array() && std::all_of(value.begin(), value.end(),
                                                        [](const json& extent) { return extent.is_number_integer(); });
  check(is_shape, "graph: input: expected a list of integers, got ", in_message(value));
  return Shape(value.get<std::vector<std::int64_t>>());
}

json json_of(const Shape& shape) { return std::vector<std::int64_t>(shape.extents().begin(), shape.extents().end()); }

void describe_inputs(const Graph& graph, json& described) {
  const std::span<const Graph::Node> inputs = graph.inputs();
  check(!inputs.empty(), "graph: it has no input yet: call input first");
  if (inputs.size() == 1 && inputs[0].name == kOnlyInput) {
    described["input"] = json_of(inputs[0].shape);
    return;
  }
  for (const Graph::Node& input : inputs) {
    described["inputs"].push_back({{"name", input.name}, {"shape", json_of(input.shape)}});
  }
}

void add_inputs(Graph& graph, const json& description) {
  constexpr const char* kWhere = "the description";
  if (!description.is_object() || !description.contains("inputs")) {
    graph.input(shape_from_json(member(description, "input", kWhere)));
    check_keys(description, {"input", "nodes", "output"}, kWhere);
    return;
  }
  check_keys(description, {"inputs", "nodes", "output"}, kWhere);
  const json& inputs = description["inputs"];
  check(inputs.is_array() && !inputs.empty(), "graph: inputs: expected a list, got ", in_message(inputs));
  for (const json& input : inputs) {
    check_keys(input, {"name", "shape"}, "an input");
    const std::string name = text(input, "name", "an input");
    check(!name.empty(), "graph: an input has no name");
    graph.input(shape_from_json(member(input, "shape", name)), name);
  }
}

Graph::Handle handle_of(const Graph& graph, std::string_view name) {
  (void)graph.node(name);  // throws if there is none
  return *graph.find(name);
}

/// The module that a node's description makes, or shares with the node that it names.
std::shared_ptr<Module> module_of(const Graph& graph, const json& node, const std::string& name,
                                  const ModuleKinds& kinds) {
  if (node.contains("shares")) {
    check_keys(node, {"name", "inputs", "shares", "note"}, name);
    const std::string owner = text(node, "shares", name);
    const std::shared_ptr<Module>& module = graph.node(owner).module;
    check(module != nullptr, "graph: ", name, ": shares: '", owner, "' is an input: it has no module");
    return module;
  }
  check_keys(node, {"name", "kind", "inputs", "options", "note"}, name);
  const std::string kind = text(node, "kind", name);
  const auto factory = kinds.find(kind);
  if (factory == kinds.end()) {
    std::vector<std::string> known;
    for (const auto& [known_kind, make] : kinds) {
      known.emplace_back(known_kind);
    }
    fail("graph: ", name, ": unknown kind '", kind, "'", did_you_mean(kind, known));
  }
  try {
    return factory->second(member(node, "options", name));
  } catch (const Error& error) {
    fail(name, ": ", error.what());
  }
}

void add_node(Graph& graph, const json& node, const ModuleKinds& kinds) {
  const std::string name = text(node, "name", "a node");
  std::shared_ptr<Module> module = module_of(graph, node, name, kinds);
  const json& names = member(node, "inputs", name);
  check(names.is_array(), "graph: ", name, ": inputs: expected a list of names, got ", in_message(names));
  std::vector<Graph::Handle> inputs;
  for (const json& input : names) {
    if (!input.is_string()) {
      fail("graph: ", name, ": inputs: expected a list of names, got ", in_message(names));
    }
    inputs.push_back(handle_of(graph, input.get<std::string>()));
  }
  check(!name.empty(), "graph: a node has no name");
  const Graph::Handle made = graph.add(std::move(module), std::move(inputs), name);
  if (node.contains("note")) {
    graph.note(made, text(node, "note", name));
  }
}

template <typename M>
ModuleKinds::value_type row(const char* kind) {
  return {kind, &M::from_options};
}

}  // namespace

const ModuleKinds& module_kinds() {
  static const ModuleKinds kinds = {
      row<Conv2d>("conv2d"),
      row<Linear>("linear"),
      row<BatchNorm>("batch_norm"),
      row<ActivationLayer>("activation"),
      row<MaxPool2d>("max_pool2d"),
      row<AvgPool2d>("avg_pool2d"),
      row<GlobalAvgPool2d>("global_avg_pool2d"),
      row<Dropout>("dropout"),
      row<Flatten>("flatten"),
      row<Add>("add"),
      row<Concat>("concat"),
      row<Softmax>("softmax"),
  };
  return kinds;
}

json to_json(const Graph& graph) {
  json nodes = json::array();
  for (const Graph::Node& node : graph.nodes()) {
    if (node.module) {
      json inputs = json::array();
      for (const Graph::Handle input : node.inputs) {
        inputs.push_back(graph.node(input).name);
      }
      json described{{"name", node.name}, {"inputs", std::move(inputs)}};
      if (node.shares) {
        described["shares"] = graph.node(*node.shares).name;
      } else {
        described["kind"] = node.module->kind();
        described["options"] = node.module->options();
      }
      if (!node.note.empty()) {
        described["note"] = node.note;
      }
      nodes.push_back(std::move(described));
    }
  }
  json described{{"nodes", std::move(nodes)}, {"output", graph.node(graph.output()).name}};
  describe_inputs(graph, described);
  return described;
}

Graph graph_from_json(const json& json, const ModuleKinds& kinds) {
  Graph graph;
  add_inputs(graph, json);
  const auto& nodes = member(json, "nodes", "the description");
  check(nodes.is_array(), "graph: nodes: expected a list");
  for (const auto& node : nodes) {
    add_node(graph, node, kinds);
  }
  graph.output(handle_of(graph, text(json, "output", "the description")));
  return graph;
}

Graph graph_from_text(std::string_view text, const ModuleKinds& kinds) {
  return graph_from_json(parse_description("graph", text), kinds);
}

Graph Graph::clone(const ModuleKinds& kinds) const {
  Graph copy = graph_from_json(to_json(*this), kinds);
  for (std::size_t i = inputs_; i < nodes_.size(); ++i) {
    if (!nodes_[i].owns_module()) {
      continue;
    }
    const std::vector<Slot> from = nodes_[i].module->slots();
    const std::vector<Slot> to = copy.nodes_[i].module->slots();
    check(from.size() == to.size(), "graph: clone: ", nodes_[i].name, " does not come back from its options");
    for (std::size_t s = 0; s < from.size(); ++s) {
      *to[s].tensor = from[s].tensor->defined() ? from[s].tensor->clone() : Tensor();
      if (from[s].parameter != nullptr && to[s].parameter != nullptr) {
        to[s].parameter->decay = from[s].parameter->decay;
      }
    }
    copy.nodes_[i].module->loaded();
  }
  return copy;
}

}  // namespace detent::nn
