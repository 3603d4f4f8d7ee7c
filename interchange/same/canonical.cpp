#include "detent/interchange/same/canonical.h"

#include <bit>
#include <sstream>

#include "detent/io/sha256.h"

namespace detent::interchange {
namespace {

using nlohmann::json;

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kParameters = "parameters/";

/// `content` of a model's file as a canonical one of its kind.
CanonicalModel from_content(std::string kind, TensorFile content) {
  CanonicalModel model{.kind = std::move(kind), .graph = parse_description("graph", content.text("graph"))};
  for (auto& [path, tensor] : content.tensors) {
    model.tensors.emplace(path.substr(kParameters.size()), std::move(tensor));
  }
  if (model.graph.contains("input")) {  // of a graph whose only input is called so
    model.graph["inputs"] = json::array({{{"name", "input"}, {"shape", std::move(model.graph["input"])}}});
    model.graph.erase("input");
  }
  for (json& node : model.graph["nodes"]) {
    node.erase("note");
  }
  return model;
}

CanonicalModel from_model(const runtime::Model& model) {
  TensorFile content = runtime::to_file({.model = model});
  for (const runtime::Node& node : model.nodes) {  // codes of few bits share bytes in the file
    if (const Tensor* const weight = runtime::product_weight(node.op)) {
      content.tensors[std::string(kParameters) + node.name + "/weight"] = *weight;
    }
  }
  return from_content("int8", std::move(content));
}

/// Puts numbers in the place of names.
void number_values(CanonicalModel& model) {
  std::map<std::string, std::string> numbers;
  const auto renamed = [&](const json& name) { return numbers.at(name.get<std::string>()); };
  for (const char* list : {"inputs", "nodes"}) {
    for (json& value : model.graph[list]) {
      const std::string name = value["name"].get<std::string>();
      const std::string number = "#" + std::to_string(numbers.size());
      numbers.emplace(name, number);
      model.names.emplace(number, name);
      value["name"] = number;
    }
  }
  for (json& node : model.graph["nodes"]) {
    for (json& input : node["inputs"]) {
      input = renamed(input);
    }
    if (node.contains("shares")) {
      node["shares"] = renamed(node["shares"]);
    }
  }
  model.graph["output"] = renamed(model.graph["output"]);
  std::map<std::string, Tensor> tensors;
  for (auto& [path, tensor] : model.tensors) {
    const std::size_t slash = path.find('/');
    tensors.emplace(numbers.at(path.substr(0, slash)) + path.substr(slash), std::move(tensor));
  }
  model.tensors = std::move(tensors);
}

void add(Sha256& digest, const std::string& text) { digest.update(std::as_bytes(std::span(text))); }

}  // namespace

CanonicalModel canonical(const quant::OpenedModel& opened, NodeNames names) {
  CanonicalModel model = opened.model() != nullptr
                             ? from_model(*opened.model())
                             : from_content(opened.kind, nn::to_file({.graph = *opened.graph(), .kind = opened.kind}));
  if (names == NodeNames::Ignored) {
    number_values(model);
  }
  return model;
}

CanonicalModel canonical(const runtime::Model& model) { return from_model(model); }

std::string model_sha256(const CanonicalModel& model) {
  Sha256 digest;
  add(digest, "detent " + model.kind + "\n" + model.graph.dump() + "\n");
  for (const auto& [name, tensor] : model.tensors) {
    std::ostringstream line;
    line << name << ' ' << tensor.dtype() << ' ' << tensor.shape() << '\n';
    add(digest, line.str());
    digest.update({tensor.raw(), tensor.bytes()});
  }
  return digest.hex();
}

}  // namespace detent::interchange
