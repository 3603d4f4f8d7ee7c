#include "detent/nn/model_file.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "detent/nn/finite.h"

namespace detent::nn {
namespace {

constexpr std::array<const char*, 4> kOwnAttributes = {"format", "version", "kind", "graph"};
constexpr std::string_view kParameters = "parameters/";

void check_kind(std::string_view kind) {
  check(kind != "int8", "kind: it is an int8 model, which runtime::load_model reads, and quant::open_model any kind");
  check(kind == "fp32" || kind == "qat", "kind: expected fp32 or qat, got '", kind, "'");
}

std::string path_of(const Graph::Node& node, const Slot& slot) {
  return std::string(kParameters) + node.name + "/" + slot.name;
}

Graph graph_of(const TensorFile& file, const ModuleKinds& kinds) { return graph_from_text(file.text("graph"), kinds); }

/// Takes every slot's tensor out of `tensors`.
void set_slots(const Graph& graph, std::map<std::string, Tensor>& tensors) {
  for (const Graph::Node& node : graph.nodes()) {
    if (!node.owns_module()) {
      continue;
    }
    for (const Slot& slot : node.module->slots()) {
      const std::string path = path_of(node, slot);
      const auto found = tensors.find(path);
      if (found == tensors.end() && slot.is_optional) {
        continue;
      }
      check(found != tensors.end(), "no tensor '", path, "'");
      const Tensor& tensor = found->second;
      if (slot.shape.elements() > 0) {
        check(tensor.shape() == slot.shape && tensor.dtype() == slot.dtype, path, ": expected ", slot.dtype, " ",
              slot.shape, ", got ", tensor.dtype(), " ", tensor.shape());
      }
      *slot.tensor = tensor;
      tensors.erase(found);
    }
    check_finite(*node.module, node.name);
    try {
      node.module->loaded();
    } catch (const Error& error) {
      fail(node.name, ": ", error.what());
    }
  }
  const auto surplus = tensors.lower_bound(std::string(kParameters));
  check(surplus == tensors.end() || !surplus->first.starts_with(kParameters), "'",
        surplus == tensors.end() ? "" : surplus->first, "' belongs to no module of the graph");
}

}  // namespace

TensorFile to_file(const Model& model) {
  check_kind(model.kind);
  TensorFile file;
  file.attributes = model.attributes;
  for (const char* name : kOwnAttributes) {
    check(!file.attributes.contains(name), "model file: the attribute '", name, "' is the format's own");
  }
  file.attributes["format"] = std::string(kModelFormat);
  file.attributes["version"] = kModelVersion;
  file.attributes["kind"] = model.kind;
  file.attributes["graph"] = to_json(model.graph).dump();
  for (const auto& [name, tensor] : model.tensors) {
    check(!name.starts_with(kParameters), "model file: the tensor '", name, "' has a name of the graph's own");
    file.tensors[name] = tensor;
  }
  for (const Graph::Node& node : model.graph.nodes()) {
    if (!node.owns_module()) {
      continue;
    }
    for (const Slot& slot : node.module->slots()) {
      check(slot.tensor->defined(), "model file: ", node.name, ".", slot.name,
            " has no value: initialize the graph, or train or calibrate it, before it is saved");
      file.tensors[path_of(node, slot)] = *slot.tensor;
    }
  }
  return file;
}

Model from_file(TensorFile file, const ModuleKinds& kinds) {
  const std::string where = file.source.empty() ? "model file" : file.source.string();
  try {
    const auto format = file.attributes.find("format");
    check(format != file.attributes.end() && std::holds_alternative<std::string>(format->second) &&
              std::get<std::string>(format->second) == kModelFormat,
          "not a model of Detent: the attribute 'format' is not '", kModelFormat, "'");
    Model model{.graph = {}, .kind = file.text("kind")};
    check_kind(model.kind);
    const std::int64_t version = file.integer("version");
    check(1 <= version && version <= kModelVersion, "version: expected 1 to ", kModelVersion, ", got ", version,
          ": it was written by another version of the program");
    model.graph = graph_of(file, kinds);
    set_slots(model.graph, file.tensors);
    for (const char* name : kOwnAttributes) {
      file.attributes.erase(name);
    }
    model.attributes = std::move(file.attributes);
    model.tensors = std::move(file.tensors);
    return model;
  } catch (const Error& error) {
    const std::string text = error.what();
    fail(text.starts_with(where) ? "" : where + ": ", text);
  }
}

void save_model(const Model& model, const std::filesystem::path& path) { to_file(model).write(path); }

Model load_model(const std::filesystem::path& path, const ModuleKinds& kinds) {
  return from_file(TensorFile::read(path), kinds);
}

}  // namespace detent::nn
