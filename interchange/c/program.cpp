#include "detent/interchange/c/program.h"

#include <algorithm>

#include "detent/core/error.h"
#include "detent/interchange/c/memory.h"
#include "detent/interchange/c/support.h"
#include "detent/interchange/c/text.h"

namespace detent::interchange::c {
namespace {

using runtime::Model;
using runtime::Node;
using runtime::ValueId;

bool is_reshape(const Node* node) { return node != nullptr && std::holds_alternative<runtime::Reshape>(node->op); }

/// Whether a node that computes takes the elements of `value`.
bool is_computed_with(const Model& model, ValueId value) {
  return std::ranges::any_of(model.nodes, [&](const Node& node) {
    return !is_reshape(&node) && !is_entry(model, node) &&
           std::ranges::any_of(node.inputs, [&](ValueId input) { return root_of(model, input) == value; });
  });
}

/// The codes that the model's numbers are made of behind its layers, else its output.
ValueId result_of(const Model& model) {
  const ValueId root = root_of(model, model.output);
  const Node* const node = model.node_of(root);
  const bool is_last =
      node != nullptr && std::holds_alternative<runtime::Dequantize>(node->op) && !is_computed_with(model, root);
  return is_last ? node->inputs[0] : model.output;
}

void add_entries(Program& program) {
  const Model& model = *program.model;
  for (ValueId value = 0; value < model.values(); ++value) {
    const Node* const node = model.node_of(value);
    if (node == nullptr ? model.type(value).is_codes() || is_computed_with(model, value) : is_entry(model, *node)) {
      program.entries.push_back({.value = value, .input = node == nullptr ? value : root_of(model, node->inputs[0])});
    }
  }
  Identifiers names;
  for (ValueId input = 0; input < model.inputs.size(); ++input) {
    const std::string& name = model.inputs[input].name;
    program.inputs.push_back(names.take(model.inputs.size() == 1 ? "input" : "input_" + identifier(name)));
    check(std::ranges::count(program.entries, input, &Entry::input) > 0, "export: c: '", name,
          "' is an input that no layer takes");
  }
  for (Entry& entry : program.entries) {
    entry.name = entry.value == entry.input    ? program.inputs[entry.input]
                 : program.entries.size() == 1 ? "input"
                                               : names.take("codes_" + identifier(model.name(entry.value)));
  }
}

}  // namespace

bool Program::is_from_codes_to_codes() const {
  return type(result).is_codes() &&
         std::ranges::all_of(entries, [&](const Entry& entry) { return type(entry.value).is_codes(); });
}

ValueId root_of(const Model& model, ValueId value) {
  while (is_reshape(model.node_of(value))) {
    value = model.node_of(value)->inputs[0];
  }
  return value;
}

Program make_program(const Model& model, Requantize requantize) {
  model.validate();
  check_supported(model, requantize);
  Program program{.model = &model, .result = result_of(model), .agreement = agreement_of(model)};
  add_entries(program);
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const Node& node = model.nodes[i];
    const bool is_behind_layers = program.dequantizes() && model.value_of(i) == root_of(model, model.output);
    if (!is_reshape(&node) && !is_entry(model, node) && !is_behind_layers) {
      program.steps.push_back(i);
    }
  }
  const ValueId result = root_of(model, program.result);
  const bool is_computed =
      std::ranges::any_of(program.steps, [&](std::size_t i) { return model.value_of(i) == result; });
  check(is_computed, "export: c: expected a model whose output is computed by layers, '", model.name(model.output),
        "' is not");
  place_values(program);
  return program;
}

}  // namespace detent::interchange::c
