// Functions of one value: which they are, and when they become modules of the graph.
#include <algorithm>

#include "detent/interchange/onnx/in/builder.h"
#include "detent/interchange/onnx/in/operations.h"
#include "detent/nn/modules/add.h"

namespace detent::onnx {

std::vector<ValueId> Builder::bases_of(ValueId id) const {
  std::set<ValueId> seen;
  std::vector<ValueId> open{id};
  while (!open.empty()) {
    const ValueId next = open.back();
    open.pop_back();
    for (const ValueId argument : next == values_[id].root ? std::vector<ValueId>() : values_[next].arguments) {
      if (seen.insert(argument).second) {
        open.push_back(argument);
      }
    }
  }
  return {seen.begin(), seen.end()};  // the root first, for it was there before all
}

std::optional<std::vector<double>> Builder::table(ValueId id, ValueId base) const {
  std::map<ValueId, std::vector<double>> known;
  const std::span<const double> points = function_points();
  known[base] = {points.begin(), points.end()};
  const ValueId root = values_[id].root;
  // Arguments have lower numbers than what is computed of them, so each is there when it is wanted.
  std::vector<ValueId> order = bases_of(id);
  order.push_back(id);
  for (const ValueId next : order) {
    const Value& value = values_[next];
    if (next == base || next == root || known.contains(next)) {
      continue;
    }
    const bool is_known =
        std::ranges::all_of(value.arguments, [&](ValueId argument) { return known.contains(argument); });
    if (!is_known) {
      continue;
    }
    std::vector<double>& results = known[next];
    for (std::size_t i = 0; i < points.size(); ++i) {
      std::vector<double> arguments;
      for (const ValueId argument : value.arguments) {
        arguments.push_back(known.at(argument)[i]);
      }
      results.push_back(value.function(arguments));
    }
  }
  const auto found = known.find(id);
  return found == known.end() ? std::nullopt : std::optional(found->second);
}

nn::Graph::Handle Builder::at(ValueId id) {
  if (values_[id].is_failed) {
    throw Skipped{};
  }
  if (values_[id].handle) {
    return *values_[id].handle;
  }
  const Node& node = *values_[id].node;
  for (const ValueId base : bases_of(id)) {
    const std::optional<std::vector<double>> values = table(id, base);
    auto module = values ? module_of_function(*values, channels_of(values_[base])) : std::nullopt;
    if (module) {
      const nn::Graph::Handle x = at(base);
      values_[id].handle = *module == nullptr ? x : add(node, std::move(*module), {x});
      return *values_[id].handle;
    }
  }
  const std::vector<ValueId> arguments = values_[id].arguments;
  if ((node.op == "Add" || node.op == "Sum") && arguments.size() == 2) {
    const nn::Graph::Handle a = at(arguments[0]), b = at(arguments[1]);
    values_[id].handle = add(node, std::make_shared<nn::Add>(), {a, b});
    return *values_[id].handle;
  }
  values_[id].is_failed = true;
  report(node,
         "it ends a function of one value that Detent does not have; it has relu, relu6, leaky_relu, sigmoid, "
         "tanh, gelu (the exact form), hard_swish, silu, and a x + b");
  throw Skipped{};
}

}  // namespace detent::onnx
