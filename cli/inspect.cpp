#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/nn/model_file.h"
#include "detent/quant/passes/convert.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_json.h"
#include "detent/report/metrics_table.h"

namespace detent::cli {
namespace {

// A tensor as a row: what it is called, what it holds.
struct Row {
  std::string name;
  Tensor tensor;
  double min = 0.0;
  double max = 0.0;
};

std::vector<Row> rows_of(const nn::Graph& graph) {
  std::vector<Row> rows;
  for (const nn::Graph::Node& node : graph.nodes()) {
    for (const nn::Slot& slot : node.owns_module() ? node.module->slots() : std::vector<nn::Slot>()) {
      check_interruption();
      Row row{.name = node.name + "." + slot.name, .tensor = *slot.tensor};
      const Tensor values = row.tensor.to(DType::F64);
      if (values.elements() > 0) {
        const auto [min, max] = std::minmax_element(values.data<double>().begin(), values.data<double>().end());
        row.min = *min;
        row.max = *max;
      }
      rows.push_back(row);
    }
  }
  return rows;
}

std::string text_of(const Shape& shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

std::string text_of(const TensorFile::Attribute& attribute) {
  return std::visit([](const auto& value) { return fmt::format("{}", value); }, attribute);
}

std::string for_people(const nn::Model& model, const std::string& file, const std::vector<Row>& rows) {
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(file));
  std::string text =
      fmt::format("{}: {} model, {} parameters, {} bytes\n", file, model.kind,
                  report::with_separators(model.graph.parameter_count()), report::with_separators(bytes));
  for (const auto& [name, value] : model.attributes) {
    text += fmt::format("  {:<22}{}\n", name, text_of(value));
  }
  text += "\n" + nn::summary(model.graph) + "\n";
  std::size_t width = 6;
  for (const Row& row : rows) {
    width = std::max(width, row.name.size());
  }
  text += fmt::format("{:<{}}  {:<6}{:<16}{:>11}{:>15}{:>15}\n", "tensor", width, "type", "shape", "bytes", "smallest",
                      "largest");
  for (const Row& row : rows) {
    text += fmt::format("{:<{}}  {:<6}{:<16}{:>11}{:>15.8g}{:>15.8g}\n", row.name, width, name_of(row.tensor.dtype()),
                        text_of(row.tensor.shape()),
                        report::with_separators(static_cast<std::int64_t>(row.tensor.bytes())), row.min, row.max);
  }
  return text;
}

nlohmann::json for_programs(const nn::Model& model, const std::string& file, const std::vector<Row>& rows) {
  nlohmann::json json{{"model", file},
                      {"kind", model.kind},
                      {"model_bytes", std::filesystem::file_size(file)},
                      {"parameters", model.graph.parameter_count()},
                      {"graph", nn::to_json(model.graph)},
                      {"attributes", nlohmann::json::object()},
                      {"tensors", nlohmann::json::array()}};
  for (const auto& [name, value] : model.attributes) {
    std::visit([&, key = name](const auto& plain) { json["attributes"][key] = plain; }, value);
  }
  for (const Row& row : rows) {
    const auto extents = row.tensor.shape().extents();
    json["tensors"].push_back({{"name", row.name},
                               {"dtype", std::string(name_of(row.tensor.dtype()))},
                               {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                               {"bytes", row.tensor.bytes()},
                               {"min", row.min},
                               {"max", row.max}});
  }
  return json;
}

int inspect(const Arguments& arguments) {
  const std::string file = arguments.positionals()[0];
  nn::Model model;
  std::vector<Row> rows;
  in_pool(arguments, [&] {
    model = nn::load_model(file, quant::module_kinds());
    rows = rows_of(model.graph);
  });
  print(arguments.has("json") ? report::json_text(for_programs(model, file, rows)) : for_people(model, file, rows));
  return 0;
}

}  // namespace

Command inspect_command() {
  return {.spec = {.name = "inspect",
                   .positionals = "MODEL.h5",
                   .min_positionals = 1,
                   .max_positionals = 1,
                   .summary = "Show a model: layers, attributes, tensors, scales and zero points",
                   .example = "detent inspect runs/mnist-cnn/int8.h5",
                   .options = {json_option()}},
          .run = inspect};
}

}  // namespace detent::cli
