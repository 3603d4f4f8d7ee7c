#include <algorithm>

#include "detent/core/text/list_text.h"
#include "detent/interchange/onnx/in/builder.h"
#include "detent/interchange/onnx/in/operations.h"

// What is imported of a model: the value that it ends with, and what that depends on.
namespace detent::onnx {

bool Builder::is_given(const std::string& name, std::string_view op) const {
  return std::ranges::any_of(model_.nodes, [&](const Node& node) {
    return (op.empty() || key_of(node) == op) && std::ranges::find(node.outputs, name) != node.outputs.end();
  });
}

std::string Builder::chosen_output() {
  std::vector<std::string> names, of_reals, others;
  for (const ValueInfo& output : model_.outputs) {
    // A classifier of scikit-learn gives a label, too, and may put its probabilities into a map.
    const bool gives_reals = is_real(output.type) || is_given(output.name, "ai.onnx.ml.ZipMap");
    names.push_back(output.name);
    (gives_reals ? of_reals : others).push_back(output.name);
  }
  if (!options_.output.empty()) {
    const bool is_known = std::ranges::find(names, options_.output) != names.end() || is_given(options_.output, "");
    check(is_known, "it has no output '", options_.output, "', and no operation gives it; it has ",
          comma_separated(names));
    return options_.output;
  }
  check(!names.empty(), "it has no output");
  check(names.size() == 1 || of_reals.size() == 1, "it has the outputs ", comma_separated(names),
        ", and Detent's models have one; choose it with --result ", of_reals.empty() ? names[0] : of_reals[0]);
  if (names.size() > 1) {
    remarks.push_back("its output is '" + of_reals[0] +
                      "', the only one of real numbers; left out: " + comma_separated(others));
  }
  return names.size() == 1 ? names[0] : of_reals[0];
}

std::string Builder::scores_of(std::string output) const {
  for (auto node = model_.nodes.rbegin(); node != model_.nodes.rend(); ++node) {
    const bool is_giver = std::ranges::find(node->outputs, output) != node->outputs.end() && node->has_input(0);
    if (is_giver && node->op == "Softmax") {
      return is_given(node->inputs[0], "") ? node->inputs[0] : std::string();
    }
    if (is_giver && (node->op == "Identity" || node->op == "ZipMap")) {
      output = node->inputs[0];
    }
  }
  return {};
}

void Builder::find_needed(const std::string& output) {
  std::map<std::string, const Node*> givers;
  for (const Node& node : model_.nodes) {
    for (const std::string& name : node.outputs) {
      check(name.empty() || (givers.emplace(name, &node).second && !by_name_.contains(name)), "two operations give '",
            name, "'");
    }
  }
  std::vector<std::string> open{output};
  while (!open.empty()) {
    const auto giver = givers.find(open.back());
    open.pop_back();
    if (giver == givers.end() || !needed_.insert(giver->second).second) {
      continue;
    }
    for (const std::string& name : giver->second->inputs) {
      readers_[name].push_back(giver->second);
      open.push_back(name);
    }
  }
  readers_[output].push_back(nullptr);
}

}  // namespace detent::onnx
