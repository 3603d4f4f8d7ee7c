#include <algorithm>
#include <array>
#include <sstream>

#include "detent/nn/graph.h"

namespace detent::nn {
namespace {

using Row = std::array<std::string, 5>;
constexpr std::size_t kFirstNumber = 3;  // columns from here on are numbers, to the right

/// 1234567 -> "1,234,567"
std::string with_separators(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t place = 3; place < digits.size(); place += 4) {
    digits.insert(digits.size() - place, 1, ',');
  }
  return digits;
}

/// 26 x 26 x 32
std::string with_crosses(const Shape& shape) {
  std::ostringstream text;
  for (std::size_t i = 0; i < shape.rank(); ++i) {
    text << (i > 0 ? " x " : "") << shape[i];
  }
  return text.str();
}

}  // namespace

std::string summary(const Graph& graph) {
  std::vector<Row> rows{{"layer", "kind", "output shape", "parameters", "multiply-adds"}};
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
        node.shares ? "of " + graph.node(*node.shares).name : with_separators(parameter_count(*node.module));
    all_multiply_adds += multiply_adds;
    rows.push_back({node.name, std::string(node.module->label()), with_crosses(node.shape), parameters,
                    with_separators(multiply_adds)});
  }
  rows.push_back({"total", "", "", with_separators(graph.parameter_count()), with_separators(all_multiply_adds)});

  std::array<std::size_t, 5> widths{};
  for (const Row& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      widths[c] = std::max(widths[c], row[c].size());
    }
  }
  std::size_t width = 2 * (widths.size() - 1);
  for (const std::size_t w : widths) {
    width += w;
  }
  const std::string rule = std::string(width, '-') + "\n";
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string line;
    for (std::size_t c = 0; c < widths.size(); ++c) {
      const std::string padding(widths[c] - rows[r][c].size(), ' ');
      line += (c > 0 ? "  " : "") + (c < kFirstNumber ? rows[r][c] + padding : padding + rows[r][c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += (r + 1 == rows.size() ? rule : "") + line + "\n" + (r == 0 ? rule : "");
  }
  return text;
}

}  // namespace detent::nn
