#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/core/text/shape_text.h"
#include "detent/evaluation/drift/model_distributions.h"
#include "detent/interchange/same/canonical.h"
#include "detent/io/description.h"
#include "detent/quant/passes/open_model.h"
#include "detent/report/json_text.h"
#include "detent/report/metrics_json.h"
#include "detent/report/metrics_table.h"
#include "detent/report/ranges_table.h"
#include "detent/runtime/summary.h"

namespace detent::cli {
namespace {

// A tensor as a row: what it is called, what it holds.
struct Row {
  std::string name;
  Tensor tensor;
  double min = 0.0;
  double max = 0.0;
};

Row row_of(std::string name, const Tensor& tensor) {
  check_interruption();
  Row row{.name = std::move(name), .tensor = tensor};
  const Tensor values = tensor.to(DType::F64);
  if (values.elements() > 0) {
    const auto [min, max] = std::minmax_element(values.data<double>().begin(), values.data<double>().end());
    row.min = *min;
    row.max = *max;
  }
  return row;
}

// What this program shows of a file.
struct Shown {
  quant::OpenedModel model;
  std::string sha256 = {};
  std::int64_t parameters = 0;
  std::string summary = {};
  nlohmann::json graph = {};
  std::vector<Row> rows = {};
  std::vector<std::pair<std::string, quant::ChannelReport>> channels = {};  // of weights
};

Shown show(const std::string& file) {
  Shown shown{.model = quant::open_model(file)};
  shown.sha256 = interchange::model_sha256(interchange::canonical(shown.model));
  if (const runtime::Model* const model = shown.model.model()) {
    shown.parameters = runtime::parameter_count(*model);
    shown.summary = runtime::summary(*model);
    TensorFile content = runtime::to_file({.model = *model});
    shown.graph = parse_description("graph", content.text("graph"));
    for (const runtime::Node& node : model->nodes) {  // codes of few bits share bytes in the file
      if (const Tensor* const weight = runtime::product_weight(node.op)) {
        content.tensors["parameters/" + node.name + "/weight"] = *weight;
      }
    }
    for (const auto& [path, tensor] : content.tensors) {
      std::string name = path.substr(path.find('/') + 1);
      std::replace(name.begin(), name.end(), '/', '.');
      shown.rows.push_back(row_of(std::move(name), tensor));
    }
    return shown;
  }
  const nn::Graph& graph = *shown.model.graph();
  shown.parameters = graph.parameter_count();
  shown.summary = nn::summary(graph);
  shown.graph = nn::to_json(graph);
  for (const nn::Graph::Node& node : graph.nodes()) {
    for (const nn::Slot& slot : node.owns_module() ? node.module->slots() : std::vector<nn::Slot>()) {
      shown.rows.push_back(row_of(node.name + "." + slot.name, *slot.tensor));
    }
    const auto channels = node.owns_module() ? quant::weight_channels(*node.module) : std::nullopt;
    if (channels) {
      shown.channels.emplace_back(node.name, *channels);
    }
  }
  return shown;
}

std::string text_of(const TensorFile::Attribute& attribute) {
  return std::visit([](const auto& value) { return fmt::format("{}", value); }, attribute);
}

/// Distributions are long, and for a command of their own.
std::string in_a_line(const std::string& name, const TensorFile::Attribute& attribute) {
  const std::string text = text_of(attribute);
  return name == evaluation::kDistributionsAttribute ? fmt::format("{} bytes, for detent monitor", text.size()) : text;
}

std::string for_people(const Shown& shown, const std::string& file) {
  const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(file));
  std::string text = fmt::format("{}: {} model, {} parameters, {} bytes\n", file, shown.model.kind,
                                 report::with_separators(shown.parameters), report::with_separators(bytes));
  for (const auto& [name, value] : shown.model.attributes) {
    text += fmt::format("  {:<22}{}\n", name, in_a_line(name, value));
  }
  text += fmt::format("  {:<22}{}\n", "model_sha256", shown.sha256) + "\n" + shown.summary + "\n";
  std::size_t width = 6;
  for (const Row& row : shown.rows) {
    width = std::max(width, row.name.size());
  }
  text += fmt::format("{:<{}}  {:<6}{:<16}{:>11}{:>15}{:>15}\n", "tensor", width, "type", "shape", "bytes", "smallest",
                      "largest");
  for (const Row& row : shown.rows) {
    text += fmt::format("{:<{}}  {:<6}{:<16}{:>11}{:>15.8g}{:>15.8g}\n", row.name, width, name_of(row.tensor.dtype()),
                        text_of(row.tensor.shape()),
                        report::with_separators(static_cast<std::int64_t>(row.tensor.bytes())), row.min, row.max);
  }
  return shown.channels.empty() ? text : text + "\n" + report::weight_table(shown.channels);
}

nlohmann::json for_programs(const Shown& shown, const std::string& file) {
  nlohmann::json json{{"model", file},
                      {"kind", shown.model.kind},
                      {"model_bytes", std::filesystem::file_size(file)},
                      {"model_sha256", shown.sha256},
                      {"parameters", shown.parameters},
                      {"graph", shown.graph},
                      {"attributes", nlohmann::json::object()},
                      {"tensors", nlohmann::json::array()},
                      {"weight_channels", nlohmann::json::array()}};
  for (const auto& [name, value] : shown.model.attributes) {
    std::visit([&, key = name](const auto& plain) { json["attributes"][key] = plain; }, value);
  }
  for (const Row& row : shown.rows) {
    const auto extents = row.tensor.shape().extents();
    json["tensors"].push_back({{"name", row.name},
                               {"dtype", std::string(name_of(row.tensor.dtype()))},
                               {"shape", std::vector<std::int64_t>(extents.begin(), extents.end())},
                               {"bytes", row.tensor.bytes()},
                               {"min", row.min},
                               {"max", row.max}});
  }
  for (const auto& [name, channels] : shown.channels) {
    json["weight_channels"].push_back(report::to_json(channels));
    json["weight_channels"].back()["name"] = name;
  }
  return json;
}

int inspect(const Arguments& arguments) {
  const std::string file = arguments.positionals()[0];
  Shown shown;
  in_pool(arguments, [&] { shown = show(file); });
  print(arguments.has("json") ? report::json_text(for_programs(shown, file)) : for_people(shown, file));
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
