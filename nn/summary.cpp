#include "detent/io/layer_table.h"
#include "detent/nn/graph.h"

namespace detent::nn {

std::string summary(const Graph& graph) {
  std::vector<LayerRow> rows;
  std::int64_t all_multiply_adds = 0;
  for (const Graph::Node& node : graph.nodes()) {
    if (!node.module) {
      rows.push_back({node.name, "", with_crosses(node.shape), "", ""});
      continue;
    }
    std::vector<Shape> inputs;
    for (const Graph::Handle input : node.inputs) {
      inputs.push_back(graph.node(input).shape);
    }
    const std::int64_t multiply_adds = node.module->multiply_adds(inputs);
    const std::string parameters =
        node.shares ? "of " + graph.node(*node.shares).name : grouped_digits(parameter_count(*node.module));
    all_multiply_adds += multiply_adds;
    rows.push_back({node.name, std::string(node.module->label()), with_crosses(node.shape), parameters,
                    grouped_digits(multiply_adds)});
  }
  rows.push_back({"total", "", "", grouped_digits(graph.parameter_count()), grouped_digits(all_multiply_adds)});
  return layer_table(std::move(rows));
}

}  // namespace detent::nn
