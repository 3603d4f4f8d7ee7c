#include "nn/graph.h"

#include <algorithm>
#include <cctype>

#include "nn/options.h"

namespace detent::nn {
namespace {

void check_name(std::string_view name) {
  const bool is_plain = std::ranges::all_of(
      name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.'; });
  check(!name.empty() && is_plain && name != "." && name != "..",
        "graph: a node's name is letters, digits, '_', '-' and '.', got '", name, "'");
}

/// The label, and the first number that makes it free.
std::string free_name(const std::vector<Graph::Node>& nodes, std::string_view label) {
  for (std::size_t number = 1;; ++number) {
    std::string name = std::string(label) + std::to_string(number);
    if (std::ranges::none_of(nodes, [&](const Graph::Node& node) { return node.name == name; })) {
      return name;
    }
  }
}

/// What the tape's arena holds, if somebody wants to know.
std::int64_t bytes_in_use(const autograd::Profiler* profiler, const Tape& tape) {
  const bool is_wanted = profiler != nullptr && tape.arena() != nullptr;
  return is_wanted ? static_cast<std::int64_t>(tape.arena()->bytes_in_use()) : 0;
}

}  // namespace

Graph::Handle Graph::input(Shape shape) {
  check(nodes_.empty(), "graph: the input must be the first call, and there is one already");
  check_elements("graph: input", shape);
  nodes_.push_back({"input", nullptr, {}, std::move(shape)});
  last_use_.push_back(0);
  return output_;
}

Graph::Handle Graph::add(std::shared_ptr<Module> module, std::vector<Handle> inputs, std::string name) {
  check(module != nullptr, "graph: add: the module is null");
  if (name.empty()) {
    name = free_name(nodes_, module->label());
  }
  check_name(name);
  check(std::ranges::none_of(nodes_, [&](const Node& node) { return node.name == name; }),
        "graph: there is a node named '", name, "' already");
  check(inputs.size() == module->arity(), "graph: ", name, " (", module->label(), "): expected ", module->arity(),
        " inputs, got ", inputs.size());
  std::vector<Shape> shapes;
  for (const Handle input : inputs) {
    check(input.index < nodes_.size(), "graph: ", name, ": its input is not of this graph");
    shapes.push_back(node(input).shape);
  }
  Shape shape;
  try {
    module->bind(shapes);
    shape = module->output_shape(shapes);
    check_elements("output", shape);
  } catch (const Error& error) {
    fail(name, ": ", error.what());
  }
  const Handle handle{nodes_.size()};
  for (const Handle input : inputs) {
    last_use_[input.index] = handle.index;
  }
  last_use_.push_back(handle.index);
  module->set_name(name);
  nodes_.push_back({std::move(name), std::move(module), std::move(inputs), std::move(shape)});
  if (!output_is_chosen_) {
    output_ = handle;
  }
  return handle;
}

void Graph::output(Handle handle) {
  check(handle.index < nodes_.size(), "graph: output: the value is not of this graph");
  output_ = handle;
  output_is_chosen_ = true;
}

Graph::Handle Graph::conv2d(Handle x, Conv2d::Options options) {
  std::string name = options.name;
  return add(std::make_shared<Conv2d>(std::move(options)), {x}, std::move(name));
}

Graph::Handle Graph::linear(Handle x, Linear::Options options) {
  std::string name = options.name;
  return add(std::make_shared<Linear>(std::move(options)), {x}, std::move(name));
}

Graph::Handle Graph::batch_norm(Handle x, BatchNorm::Options options) {
  std::string name = options.name;
  return add(std::make_shared<BatchNorm>(std::move(options)), {x}, std::move(name));
}

Graph::Handle Graph::activation(Handle x, kernels::Activation function, std::string name) {
  return add(std::make_shared<ActivationLayer>(ActivationLayer::Options{.function = function}), {x}, std::move(name));
}

Graph::Handle Graph::max_pool(Handle x, Pool2d::Options options) {
  std::string name = options.name;
  return add(std::make_shared<MaxPool2d>(std::move(options)), {x}, std::move(name));
}

Graph::Handle Graph::avg_pool(Handle x, Pool2d::Options options) {
  std::string name = options.name;
  return add(std::make_shared<AvgPool2d>(std::move(options)), {x}, std::move(name));
}

Graph::Handle Graph::global_avg_pool(Handle x, std::string name) {
  return add(std::make_shared<GlobalAvgPool2d>(), {x}, std::move(name));
}

Graph::Handle Graph::dropout(Handle x, double p, std::string name) {
  return add(std::make_shared<Dropout>(Dropout::Options{.p = p}), {x}, std::move(name));
}

Graph::Handle Graph::flatten(Handle x, std::string name) {
  return add(std::make_shared<Flatten>(), {x}, std::move(name));
}

Graph::Handle Graph::add(Handle a, Handle b, std::string name) {
  return add(std::make_shared<Add>(), {a, b}, std::move(name));
}

const Graph::Node& Graph::node(std::string_view name) const {
  const auto found = std::ranges::find(nodes_, name, &Node::name);
  if (found == nodes_.end()) {
    std::string names;
    for (const Node& node : nodes_) {
      names += (names.empty() ? "" : ", ") + node.name;
    }
    fail("graph: no node named '", name, "': there are ", names);
  }
  return *found;
}

const Shape& Graph::input_shape() const {
  check(!nodes_.empty(), "graph: it has no input yet: call input first");
  return nodes_[0].shape;
}

std::size_t Graph::consumers(Handle handle) const {
  std::size_t count = handle == output_ ? 1 : 0;
  for (const Node& node : nodes_) {
    count += std::ranges::find(node.inputs, handle) != node.inputs.end() ? 1 : 0;
  }
  return count;
}

Variable Graph::forward(Context& context, const Variable& x, const Tap& tap) {
  check(x.shape().rank() >= 1 && x.shape().row() == input_shape(), "graph: expected input [N] of ", input_shape(),
        ", got ", x.shape());
  autograd::Profiler* const profiler = context.tape.profiler();
  std::vector<Variable> values(nodes_.size());
  values[0] = x;
  if (tap) {
    tap(nodes_[0], x);
  }
  for (std::size_t i = 1; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    std::vector<Variable> inputs;
    for (const Handle input : node.inputs) {
      inputs.push_back(values[input.index]);
    }
    const std::int64_t bytes_before = bytes_in_use(profiler, context.tape);
    {
      const autograd::ProfiledScope scope(profiler, node.name, autograd::Profiler::Phase::Forward);
      values[i] = node.module->forward(context, inputs);
    }
    if (tap) {
      tap(node, values[i]);
    }
    inputs.clear();
    const auto drop_if_done = [&](Handle value) {
      if (last_use_[value.index] == i && value != output_) {
        values[value.index] = Variable();
      }
    };
    std::ranges::for_each(node.inputs, drop_if_done);
    drop_if_done({i});
    if (profiler != nullptr) {
      profiler->set_saved(profiler->current(), bytes_in_use(profiler, context.tape) - bytes_before);
    }
  }
  return values[output_.index];
}

void Graph::initialize(std::uint64_t seed) {
  for (const Node& node : nodes_) {
    if (node.module) {
      RandomStream random(seed, "init/" + node.name);
      node.module->initialize(random);
    }
  }
}

std::vector<NamedParameter> Graph::parameters() {
  std::vector<NamedParameter> parameters;
  for (const Node& node : nodes_) {
    if (node.module) {
      for (const Slot& slot : node.module->slots()) {
        if (slot.parameter != nullptr) {
          parameters.push_back({node.name + "." + slot.name, slot.parameter});
        }
      }
    }
  }
  return parameters;
}

void Graph::clear_gradients() {
  for (const NamedParameter& named : parameters()) {
    named.parameter->gradient = Tensor();
  }
}

std::int64_t Graph::parameter_count() const {
  std::int64_t count = 0;
  for (const Node& node : nodes_) {
    count += node.module ? nn::parameter_count(*node.module) : 0;
  }
  return count;
}

}  // namespace detent::nn
