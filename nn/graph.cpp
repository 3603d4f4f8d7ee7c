#include "detent/nn/graph.h"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>

#include "detent/core/text/nearest.h"
#include "detent/io/option_reader.h"

namespace detent::nn {
namespace {

constexpr std::size_t kNamesInMessages = 20;

void check_name(std::string_view name) {
  const bool is_plain = std::ranges::all_of(
      name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.'; });
  check(!name.empty() && is_plain && name != "." && name != "..",
        "graph: a node's name is letters, digits, '_', '-' and '.', got '", name, "'");
}

/// Calls fn(node, slot) for each parameter once, under the first node that has it.
template <typename Fn>
void for_each_parameter(const std::vector<Graph::Node>& nodes, Fn&& fn) {
  std::set<const Parameter*> seen;
  for (const Graph::Node& node : nodes) {
    for (const Slot& slot : node.owns_module() ? node.module->slots() : std::vector<Slot>()) {
      if (slot.parameter != nullptr && seen.insert(slot.parameter).second) {
        fn(node, slot);
      }
    }
  }
}

/// What the tape's arena holds, if somebody wants to know.
std::int64_t bytes_in_use(const Profiler* profiler, const Tape& tape) {
  const bool is_wanted = profiler != nullptr && tape.arena() != nullptr;
  return is_wanted ? static_cast<std::int64_t>(tape.arena()->bytes_in_use()) : 0;
}

}  // namespace

Graph::Handle Graph::input(Shape shape, std::string name) {
  check(nodes_.size() == inputs_, "graph: input: all inputs come before the first module");
  if (name.empty()) {
    name = nodes_.empty() ? "input" : free_name("input");
  }
  check_name(name);
  check(!by_name_.contains(name), "graph: there is a node named '", name, "' already");
  check_elements("graph: " + name, shape);
  const Handle handle{nodes_.size()};
  readers_.push_back({.count = 0, .last = handle.index});
  by_name_.emplace(name, handle.index);
  nodes_.push_back({std::move(name), nullptr, {}, std::move(shape)});
  ++inputs_;
  if (!output_is_chosen_) {
    output_ = handle;
  }
  return handle;
}

std::string Graph::free_name(std::string_view stem) {
  auto found = next_number_.find(stem);
  if (found == next_number_.end()) {
    found = next_number_.emplace(stem, 1).first;
  }
  for (;; ++found->second) {  // names are never given back, so the search goes on where it ended
    std::string name = found->first + std::to_string(found->second);
    if (!by_name_.contains(name)) {
      return name;
    }
  }
}

/// Binds the module to its inputs at a node and returns the shape of its value. A module that stands at `owner` already
/// must give there what it gave before.
Shape Graph::bound_shape(Module& module, const std::vector<Handle>& inputs, std::optional<Handle> owner) const {
  module.bind(shapes_of(inputs));
  Shape shape = module.output_shape(shapes_of(inputs));
  check_elements("output", shape);
  if (owner) {
    const Shape now = module.output_shape(shapes_of(node(*owner).inputs));
    check(now == node(*owner).shape, "it would give ", now, " where it gives ", node(*owner).shape);
  }
  return shape;
}

Graph::Handle Graph::add(std::shared_ptr<Module> module, std::vector<Handle> inputs, std::string name) {
  check(module != nullptr, "graph: add: the module is null");
  if (name.empty()) {
    name = free_name(module->label());
  }
  check_name(name);
  check(!by_name_.contains(name), "graph: there is a node named '", name, "' already");
  check(inputs.size() == module->arity(), "graph: ", name, " (", module->label(), "): expected ", module->arity(),
        " inputs, got ", inputs.size());
  for (const Handle input : inputs) {
    check(input.index < nodes_.size(), "graph: ", name, ": its input is not of this graph");
  }
  const auto earlier = by_module_.find(module.get());
  const std::optional<Handle> owner =
      earlier == by_module_.end() ? std::nullopt : std::optional(Handle{earlier->second});
  Shape shape;
  try {
    shape = bound_shape(*module, inputs, owner);
  } catch (const Error& error) {
    fail(name, owner ? ", which shares the module of " + node(*owner).name : "", ": ", error.what());
  }
  const Handle handle{nodes_.size()};
  for (const Handle input : inputs) {
    Readers& readers = readers_[input.index];
    readers.count += readers.last == handle.index ? 0 : 1;
    readers.last = handle.index;
  }
  readers_.push_back({.count = 0, .last = handle.index});
  by_name_.emplace(name, handle.index);
  if (!owner) {
    by_module_.emplace(module.get(), handle.index);
    module->set_name(name);
  }
  nodes_.push_back({std::move(name), std::move(module), std::move(inputs), std::move(shape), owner});
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

Graph::Handle Graph::softmax(Handle x, std::string name) {
  return add(std::make_shared<Softmax>(), {x}, std::move(name));
}

Graph::Handle Graph::add(Handle a, Handle b, std::string name) {
  return add(std::make_shared<Add>(), {a, b}, std::move(name));
}

std::optional<Graph::Handle> Graph::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? std::nullopt : std::optional(Handle{found->second});
}

const Graph::Node& Graph::node(std::string_view name) const {
  const std::optional<Handle> found = find(name);
  if (!found) {
    std::vector<std::string> known;
    std::ranges::transform(nodes_, std::back_inserter(known), &Node::name);
    std::string names;
    for (std::size_t i = 0; i < std::min(known.size(), kNamesInMessages); ++i) {
      names += (i > 0 ? ", " : "") + known[i];
    }
    names += known.size() > kNamesInMessages ? ", ... (" + std::to_string(known.size()) + " in all)" : "";
    fail("graph: no node named '", name, "'", did_you_mean(name, known, ":"), " there are ", names);
  }
  return node(*found);
}

std::vector<Shape> Graph::shapes_of(const std::vector<Handle>& values) const {
  std::vector<Shape> shapes;
  for (const Handle value : values) {
    shapes.push_back(node(value).shape);
  }
  return shapes;
}

const Shape& Graph::input_shape() const {
  check(!nodes_.empty(), "graph: it has no input yet: call input first");
  check(inputs_ == 1, "graph: expected one input, it has ", inputs_);
  return nodes_[0].shape;
}

std::size_t Graph::consumers(Handle handle) const {
  return readers_.at(handle.index).count + (handle == output_ ? 1 : 0);
}

std::optional<Graph::Handle> Graph::sole_consumer(Handle handle) const {
  return consumers(handle) == 1 && handle != output_ ? std::optional(last_reader(handle)) : std::nullopt;
}

Variable Graph::forward(Context& context, std::span<const Variable> inputs, const Tap& tap) {
  check(inputs.size() == inputs_, "graph: expected ", inputs_, " inputs, got ", inputs.size());
  Profiler* const profiler = context.tape.profiler();
  std::vector<Variable> values(nodes_.size());
  for (std::size_t i = 0; i < inputs_; ++i) {
    const Shape& shape = inputs[i].shape();
    check(shape.rank() >= 1 && shape.row() == nodes_[i].shape, "graph: expected ", nodes_[i].name, " [N] of ",
          nodes_[i].shape, ", got ", shape);
    check(shape[0] == inputs[0].shape()[0], "graph: ", nodes_[i].name, " has ", shape[0], " examples, but ",
          nodes_[0].name, " has ", inputs[0].shape()[0]);
    values[i] = inputs[i];
    if (tap) {
      tap(nodes_[i], inputs[i]);
    }
  }
  for (std::size_t i = inputs_; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    std::vector<Variable> taken;
    for (const Handle input : node.inputs) {
      taken.push_back(values[input.index]);
    }
    const std::int64_t bytes_before = bytes_in_use(profiler, context.tape);
    {
      const ProfiledScope scope(profiler, node.name, Profiler::Phase::Forward);
      context.node = node.name;
      values[i] = node.module->forward(context, taken);
    }
    if (tap) {
      tap(node, values[i]);
    }
    taken.clear();
    const auto drop_if_done = [&](Handle value) {
      if (readers_[value.index].last == i && value != output_) {
        values[value.index] = Variable();
      }
    };
    std::ranges::for_each(node.inputs, drop_if_done);
    drop_if_done({i});
    if (profiler != nullptr) {
      profiler->set_saved(profiler->current(), bytes_in_use(profiler, context.tape) - bytes_before);
    }
  }
  context.node = {};
  return values[output_.index];
}

void Graph::initialize(std::uint64_t seed) {
  for (const Node& node : nodes_) {
    if (node.owns_module()) {
      RandomStream random(seed, "init/" + node.name);
      node.module->initialize(random);
    }
  }
}

std::vector<NamedParameter> Graph::parameters() {
  std::vector<NamedParameter> parameters;
  for_each_parameter(nodes_, [&](const Node& node, const Slot& slot) {
    parameters.push_back({node.name + "." + slot.name, {node.module, slot.parameter}});
  });
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
    count += node.owns_module() ? nn::parameter_count(*node.module) : 0;
  }
  return count;
}

}  // namespace detent::nn
