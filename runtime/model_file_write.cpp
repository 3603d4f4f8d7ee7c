#include <algorithm>
#include <bit>

#include "detent/runtime/model_file_parts.h"

namespace detent::runtime {
namespace {

using nlohmann::json;

Tensor scale_tensor(float scale) { return Tensor::full({1}, DType::F32, static_cast<double>(scale)); }
Tensor zero_point_tensor(std::int32_t zero_point) { return Tensor::full({1}, DType::S32, zero_point); }

json list_of(const Shape& shape) { return std::vector<std::int64_t>(shape.extents().begin(), shape.extents().end()); }

/// 8 for codes [0, 255].
int bits_of(const CodeRange& codes) { return std::bit_width(static_cast<std::uint32_t>(codes.qmax)); }

/// Whether weights take fewer than 4 bits.
bool has_few_bits(const Model& model) {
  return std::ranges::any_of(model.nodes, [](const Node& node) {
    const Tensor* const weight = product_weight(node.op);
    return weight != nullptr && weight->qparams() != nullptr && weight_bits(*weight) < 3;
  });
}

class Writer {
 public:
  Writer(const Model& model, std::int64_t version, TensorFile& file) : model_(model), version_(version), file_(file) {}

  json describe() {
    json inputs = json::array();
    for (const Input& input : model_.inputs) {
      inputs.push_back({{"name", input.name}, {"type", type(input.name, input.type)}});
    }
    json nodes = json::array();
    for (const Node& node : model_.nodes) {
      nodes.push_back(describe(node));
    }
    return {{"inputs", std::move(inputs)}, {"nodes", std::move(nodes)}, {"output", model_.name(model_.output)}};
  }

 private:
  json describe(const Node& node) {
    json described{{"name", node.name}, {"op", name_of(node.op)}, {"type", type(node.name, node.output)}};
    described["inputs"] = json::array();
    for (const ValueId input : node.inputs) {
      described["inputs"].push_back(model_.name(input));
    }
    if (!node.note.empty()) {
      described["note"] = node.note;
    }
    std::visit([&](const auto& op) { add_fields(node, op, described); }, node.op);
    return described;
  }

  json type(const std::string& name, const ValueType& type) {
    json described{{"shape", list_of(type.shape)}};
    if (type.is_codes()) {
      described["bits"] = bits_of(type.qparams->codes);
      store_map(name, "output", type.qparams->tensor());
    }
    return described;
  }

  void store(const std::string& name, std::string_view tensor_name, const Tensor& tensor) {
    if (tensor.defined()) {
      file_.tensors[path_of(name, tensor_name)] = tensor;
    }
  }

  void store_map(const std::string& name, const std::string& which, ScaleZero map) {
    store(name, which + "_scale", scale_tensor(map.scale));
    store(name, which + "_zero_point", zero_point_tensor(map.zero_point));
  }

  void add_fields(const Node&, const Quantize&, json&) {}
  void add_fields(const Node&, const Dequantize&, json&) {}
  void add_fields(const Node&, const Concat&, json&) {}
  void add_fields(const Node&, const Reshape&, json&) {}
  void add_fields(const Node&, const Add& add, json& described) { described["relu"] = add.relu; }
  void add_fields(const Node& node, const Lookup& lookup, json&) { store(node.name, "table", lookup.table); }
  void add_fields(const Node& node, const Softmax& softmax, json&) { store(node.name, "table", softmax.table); }

  void add_geometry(const kernels::ConvShape& s, json& described) {
    described["geometry"] = {{"image", {s.h, s.w, s.c}},
                             {"outputs", s.o},
                             {"kernel", {s.kh, s.kw}},
                             {"stride", {s.stride_h, s.stride_w}},
                             {"padding", {s.padding.top, s.padding.left, s.padding.bottom, s.padding.right}},
                             {"dilation", {s.dilation_h, s.dilation_w}},
                             {"groups", s.groups}};
  }

  void add_weight(const std::string& name, const Tensor& weight, json& described) {
    const std::shared_ptr<const QParams>& map = weight.qparams();
    if (weight.dtype() == DType::BF16) {
      described["weight_type"] = name_of(DType::BF16);
    }
    const std::int64_t bits = map == nullptr ? 8 : weight_bits(weight);
    const std::int64_t stored = stored_bits(bits, version_);
    store(name, "weight", stored < 8 ? pack_codes(weight, stored) : weight);
    if (map != nullptr) {
      described["weight_bits"] = bits;
      described["per_channel"] = map->is_per_channel();
      if (map->is_per_group()) {
        described["group"] = map->group;
      }
      store(name, "weight_scale", Tensor::from(map->scale, {static_cast<std::int64_t>(map->scale.size())}));
    }
  }

  void add_fields(const Node& node, const Product& product, json& described) {
    add_geometry(product.shape, described);
    described["relu"] = product.relu;
    described["bias"] = product.bias.defined();
    add_weight(node.name, product.weight, described);
    store(node.name, "bias", product.bias);
    if (const std::shared_ptr<const QParams>& map = product.weight.qparams()) {
      store(node.name, "weight_zero_point",
            Tensor::from(map->zero_point, {static_cast<std::int64_t>(map->zero_point.size())}));
      store_map(node.name, "input", model_.type(node.inputs[0]).qparams->tensor());
    }
  }

  void add_fields(const Node& node, const HybridProduct& product, json& described) {
    add_geometry(product.shape, described);
    described["relu"] = product.relu;
    described["bias"] = product.bias.defined();
    if (product.dynamic) {
      described["input_bits"] = bits_of(*product.dynamic);
    }
    if (product.input != DType::F32) {
      described["input_type"] = name_of(product.input);
    }
    add_weight(node.name, product.weight, described);
    store(node.name, "bias", product.bias);
  }

  void add_fields(const Node&, const Pool& pool, json& described) {
    const kernels::PoolShape& s = pool.shape;
    described["pool"] = pool.kind == PoolKind::Max ? "max" : "average";
    described["geometry"] = {{"image", {s.h, s.w, s.c}},
                             {"kernel", {s.kh, s.kw}},
                             {"stride", {s.stride_h, s.stride_w}},
                             {"padding", {s.padding.top, s.padding.left, s.padding.bottom, s.padding.right}}};
  }

  void add_fields(const Node&, const Activation& activation, json& described) {
    described["function"] = kernels::name_of(activation.function);
    described["slope"] = activation.slope;
  }

  void add_fields(const Node& node, const BatchNorm& norm, json& described) {
    described["epsilon"] = norm.epsilon;
    described["affine"] = norm.weight.defined();
    store(node.name, "mean", norm.mean);
    store(node.name, "variance", norm.variance);
    store(node.name, "weight", norm.weight);
    store(node.name, "bias", norm.bias);
  }

  void add_fields(const Node& node, const Custom& custom, json& described) {
    described["kind"] = custom.op->kind();
    described["options"] = custom.op->options();
    for (const auto& [name, tensor] : custom.op->tensors()) {
      store(node.name, "module/" + name, tensor);
    }
  }

  const Model& model_;
  std::int64_t version_;
  TensorFile& file_;
};

}  // namespace

TensorFile to_file(const ModelFile& model) {
  TensorFile file;
  file.attributes = model.attributes;
  for (const char* name : {"format", "version", "kind", "graph"}) {
    check(!file.attributes.contains(name), "model file: the attribute '", name, "' is the format's own");
  }
  file.attributes["format"] = std::string("detent-model");
  const std::int64_t version = has_few_bits(model.model) ? kVersion : kVersion - 1;
  file.attributes["version"] = version;
  file.attributes["kind"] = std::string("int8");
  file.attributes["graph"] = Writer(model.model, version, file).describe().dump();
  return file;
}

void save_model(const ModelFile& model, const std::filesystem::path& path) { to_file(model).write(path); }

}  // namespace detent::runtime
