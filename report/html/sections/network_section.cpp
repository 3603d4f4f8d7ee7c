#include <fmt/format.h>

#include <algorithm>

#include "detent/report/html/charts/charts.h"
#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

constexpr std::size_t kShort = 16;  // longer pictures wait to be opened

std::string crosses(const Json& node) {
  std::string shape;
  for (const double extent : numbers(node, "shape")) {
    shape += (shape.empty() ? "" : "\u00d7") + short_number(extent);
  }
  return shape;
}

std::string detail_of(const Json& node) {
  std::string detail = text(node, "kind").value_or("");
  if (const std::string shape = crosses(node); !shape.empty()) {
    detail += " \u2192 " + shape;
  }
  if (const auto parameters = number(node, "parameters"); parameters && *parameters > 0.0) {
    detail += ", " + short_number(*parameters) + " parameters";
  }
  return detail;
}

std::string type_of(const Json& node) {
  const std::string type = text(node, "type").value_or("");
  const auto bits = number(node, "weight_bits");
  return bits && *bits > 0.0 ? fmt::format("{} \u00b7 {}-bit weights", type, *bits) : type;
}

}  // namespace

std::string network_section(const Json& metrics) {
  const std::vector<Json>& nodes = list(metrics, "model.nodes");
  NetworkPicture picture{.title = "The model as it ships", .description = "From the input to the result: "};
  double parameters = 0.0, multiply_adds = 0.0;
  for (const Json& node : nodes) {
    const std::string name = text(node, "name").value_or("?");
    NetworkPicture::Node drawn{
        .name = name, .detail = detail_of(node), .type = type_of(node), .is_codes = is_true(node, "codes")};
    for (const double input : numbers(node, "inputs")) {
      if (input >= 0.0 && input < static_cast<double>(picture.nodes.size())) {
        drawn.inputs.push_back(static_cast<std::size_t>(input));
      }
    }
    picture.description += (picture.nodes.empty() ? "" : ", ") + name;
    picture.nodes.push_back(std::move(drawn));
    parameters += number(node, "parameters").value_or(0.0);
    multiply_adds += number(node, "multiply_adds").value_or(0.0);
  }
  const std::string svg = to_html(picture);
  if (svg.empty()) {
    return "";
  }
  const std::string drawn = "<div class=\"card network\">" + svg + "</div>\n";
  return section(
      "model", "The model",
      fmt::format("As it ships: {} parameters, {} multiply-adds an example. Blue: values are codes.",
                  count_text(parameters), count_text(multiply_adds)),
      nodes.size() <= kShort
          ? drawn
          : fmt::format("<details><summary>Picture of {} operations</summary>\n{}</details>\n", nodes.size(), drawn));
}

}  // namespace detent::report::html
