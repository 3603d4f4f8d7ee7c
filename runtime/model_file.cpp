#include "detent/runtime/model_file.h"

#include "detent/io/description.h"
#include "detent/io/option_reader.h"
#include "detent/runtime/model_file_parts.h"

namespace detent::runtime {
namespace {

using nlohmann::json;

kernels::ConvShape conv_shape(const json& geometry, const std::string& name) {
  check_keys(geometry, {"image", "outputs", "kernel", "stride", "padding", "dilation", "groups"}, name);
  const auto image = integers_member(geometry, "image", name, 3, 1);
  const auto kernel = integers_member(geometry, "kernel", name, 2, 1);
  const auto stride = integers_member(geometry, "stride", name, 2, 1);
  const auto padding = integers_member(geometry, "padding", name, 4, 0);
  const auto dilation = integers_member(geometry, "dilation", name, 2, 1);
  const kernels::ConvShape shape{.n = 1,
                                 .h = image[0],
                                 .w = image[1],
                                 .c = image[2],
                                 .o = integer_member(geometry, "outputs", name, 1),
                                 .kh = kernel[0],
                                 .kw = kernel[1],
                                 .stride_h = stride[0],
                                 .stride_w = stride[1],
                                 .padding = {padding[0], padding[1], padding[2], padding[3]},
                                 .dilation_h = dilation[0],
                                 .dilation_w = dilation[1],
                                 .groups = integer_member(geometry, "groups", name, 1)};
  // Products of extents must not overflow in what is computed from them.
  check_elements(name, {shape.h, shape.w, shape.c});
  check_elements(name, {shape.o, shape.kh, shape.kw, shape.c});
  shape.validate();
  return shape;
}

kernels::PoolShape pool_shape(const json& geometry, const std::string& name) {
  check_keys(geometry, {"image", "kernel", "stride", "padding"}, name);
  const auto image = integers_member(geometry, "image", name, 3, 1);
  const auto kernel = integers_member(geometry, "kernel", name, 2, 1);
  const auto stride = integers_member(geometry, "stride", name, 2, 1);
  const auto padding = integers_member(geometry, "padding", name, 4, 0);
  const kernels::PoolShape shape{.n = 1,
                                 .h = image[0],
                                 .w = image[1],
                                 .c = image[2],
                                 .kh = kernel[0],
                                 .kw = kernel[1],
                                 .stride_h = stride[0],
                                 .stride_w = stride[1],
                                 .padding = {padding[0], padding[1], padding[2], padding[3]}};
  check_elements(name, {shape.h, shape.w, shape.c});
  check_elements(name, {shape.kh, shape.kw});
  shape.validate();
  return shape;
}

/// Reads one node; what it needs of the file besides.
struct NodeReader {
  const json& node;
  const std::string& name;
  std::vector<ValueType> inputs;
  const ValueType& output;
  StoredTensors& tensors;
  const CustomFactory& custom;

  void allow(std::set<std::string> keys) const {
    keys.insert({"name", "op", "inputs", "type", "note"});
    check_keys(node, keys, name);
  }

  Op product() const {
    const bool is_integer = output.is_codes();
    allow(is_integer ? std::set<std::string>{"geometry", "relu", "bias", "weight_bits", "per_channel", "group"}
                     : std::set<std::string>{"geometry", "relu", "bias", "weight_type"});
    Product product{.shape = conv_shape(member(node, "geometry", name), name),
                    .weight = {},
                    .bias = {},
                    .relu = boolean_member(node, "relu", name)};
    product.weight =
        is_integer ? weight_codes(product.shape, true) : tensors.take(name, "weight", number_type("weight_type"));
    if (boolean_member(node, "bias", name)) {
      product.bias = tensors.take(name, "bias", is_integer ? DType::S32 : DType::F32, Shape{product.shape.o});
    }
    if (is_integer) {
      const ScaleZero map = tensors.take_map(name, "input");
      check(!inputs.empty() && inputs[0].is_codes() && inputs[0].qparams->tensor() == map,
            "the input's scale and zero point are not those that the layer was converted for");
    }
    return product;
  }

  /// Of numbers: f32 where the file has no `key`.
  DType number_type(const char* key) const {
    if (!node.contains(key)) {
      return DType::F32;
    }
    const std::string type = text_member(node, key, name);
    check(type == name_of(DType::BF16), key, ": expected bf16, got ", in_message(json(type)));
    return DType::BF16;
  }

  Op hybrid_product() const {
    allow({"geometry", "relu", "bias", "weight_bits", "per_channel", "group", "input_bits", "input_type"});
    HybridProduct product{.shape = conv_shape(member(node, "geometry", name), name),
                          .relu = boolean_member(node, "relu", name),
                          .input = number_type("input_type")};
    product.weight = weight_codes(product.shape, false);
    if (boolean_member(node, "bias", name)) {
      product.bias = tensors.take(name, "bias", DType::F32, Shape{product.shape.o});
    }
    if (node.contains("input_bits")) {
      product.dynamic = codes_map({}, integer_member(node, "input_bits", name, 2))->codes;
    }
    return product;
  }

  /// The weights of a product whose weights are codes.
  Tensor weight_codes(const kernels::ConvShape& shape, bool has_zero_points) const {
    const std::int64_t bits = integer_member(node, "weight_bits", name, 1);
    const std::int64_t group = node.contains("group") ? integer_member(node, "group", name, 1) : 0;
    const std::int64_t groups = group == 0 ? 1 : groups_of(shape.c / shape.groups, group);
    const Tensor codes = tensors.take_weight(name, shape, bits);
    return codes.with_qparams(weight_map(tensors, name, shape.o, boolean_member(node, "per_channel", name), bits, group,
                                         groups, has_zero_points));
  }

  Op pool() const {
    allow({"pool", "geometry"});
    const std::string kind = text_member(node, "pool", name);
    check(kind == "max" || kind == "average", "pool: expected max or average, got ", in_message(json(kind)));
    return Pool{.kind = kind == "max" ? PoolKind::Max : PoolKind::Average,
                .shape = pool_shape(member(node, "geometry", name), name)};
  }

  Op batch_norm() const {
    allow({"epsilon", "affine"});
    BatchNorm norm{.mean = tensors.take(name, "mean", DType::F32),
                   .variance = tensors.take(name, "variance", DType::F32),
                   .weight = {},
                   .bias = {},
                   .epsilon = real_member(node, "epsilon", name)};
    if (boolean_member(node, "affine", name)) {
      norm.weight = tensors.take(name, "weight", DType::F32);
      norm.bias = tensors.take(name, "bias", DType::F32);
    }
    return norm;
  }

  Op custom_op() const {
    allow({"kind", "options"});
    const std::string kind = text_member(node, "kind", name);
    check(custom != nullptr, "kind '", kind,
          "': this program has no custom operations; pass load_model what makes them");
    MadeCustom made = custom({.node = name,
                              .kind = kind,
                              .options = member(node, "options", name),
                              .tensors = tensors.take_all(name, "module"),
                              .inputs = inputs});
    check(made.shape == output.shape, "expected a result of ", made.shape, ", got ", output.shape);
    return Custom{std::move(made.op)};
  }

  Op op() const {
    const std::string op = text_member(node, "op", name);
    if (op == "product") {
      return product();
    }
    if (op == "hybrid_product") {
      return hybrid_product();
    }
    if (op == "pool") {
      return pool();
    }
    if (op == "batch_norm") {
      return batch_norm();
    }
    if (op == "custom") {
      return custom_op();
    }
    if (op == "add") {
      allow({"relu"});
      return Add{.relu = boolean_member(node, "relu", name)};
    }
    if (op == "activation") {
      allow({"function", "slope"});
      return Activation{.function = kernels::activation_from_name(text_member(node, "function", name)),
                        .slope = real_member(node, "slope", name)};
    }
    allow({});
    if (op == "lookup") {
      return Lookup{.table = tensors.take(name, "table", DType::U8)};
    }
    if (op == "softmax") {
      return output.is_codes() ? Softmax{.table = tensors.take(name, "table", DType::S32)} : Softmax{};
    }
    const std::map<std::string, Op> plain{
        {"quantize", Quantize()}, {"dequantize", Dequantize()}, {"concat", Concat()}, {"reshape", Reshape()}};
    const auto found = plain.find(op);
    check(found != plain.end(), "unknown op ", in_message(json(op)));
    return found->second;
  }
};

ValueType type_of(const json& type, const std::string& name, StoredTensors& tensors) {
  check_keys(type, {"shape", "bits"}, name);
  ValueType read{.shape = shape_of(member(type, "shape", name), name)};
  if (type.contains("bits")) {
    read.dtype = DType::U8;
    read.qparams = codes_map(tensors.take_map(name, "output"), integer_member(type, "bits", name, 1));
  }
  return read;
}

}  // namespace

Model model_from_description(const json& graph, StoredTensors& tensors, const CustomFactory& custom) {
  check_keys(graph, {"inputs", "nodes", "output"}, "the description");
  Model model;
  NamedValues values(model);
  const json& inputs = member(graph, "inputs", "the description");
  const json& nodes = member(graph, "nodes", "the description");
  check(inputs.is_array() && nodes.is_array(), "graph: inputs and nodes: expected lists");
  for (const json& input : inputs) {
    check_keys(input, {"name", "type"}, "an input");
    const std::string name = name_member(input, "an input");
    named_errors(name, [&] { values.add_input({name, type_of(member(input, "type", name), name, tensors)}); });
  }
  for (const json& node : nodes) {
    const std::string name = name_member(node, "a node");
    named_errors(name, [&] {
      Node read{.name = name, .op = {}, .inputs = values.inputs_of(node, name)};
      read.output = type_of(member(node, "type", name), name, tensors);
      read.note = node.contains("note") ? text_member(node, "note", name) : "";
      NodeReader reader{node, name, {}, read.output, tensors, custom};
      for (const ValueId input : read.inputs) {
        reader.inputs.push_back(model.type(input));
      }
      read.op = reader.op();
      values.add_node(std::move(read));
    });
  }
  model.output = values.find(text_member(graph, "output", "the description"), "output");
  return model;
}

ModelFile from_file(TensorFile file, const CustomFactory& custom) {
  const std::string where = file.source.empty() ? "model file" : file.source.string();
  try {
    const auto format = file.attributes.find("format");
    check(format != file.attributes.end() && std::holds_alternative<std::string>(format->second) &&
              std::get<std::string>(format->second) == "detent-model",
          "not a model of Detent: the attribute 'format' is not 'detent-model'");
    check(file.text("kind") == "int8", "kind: expected an int8 model, got '", file.text("kind"),
          "', which nn::load_model reads");
    const std::int64_t version = file.integer("version");
    check(1 <= version && version <= kVersion, "version: expected 1 to ", kVersion, ", got ", version,
          ": it was written by another version of the program");
    const json graph = parse_description("graph", file.text("graph"));
    StoredTensors tensors(file.tensors, version);
    ModelFile read{.model = version == 1 ? model_from_modules(graph, tensors, custom)
                                         : model_from_description(graph, tensors, custom)};
    tensors.check_all_taken();
    read.model.validate();
    for (const char* name : {"format", "version", "kind", "graph"}) {
      file.attributes.erase(name);
    }
    read.attributes = std::move(file.attributes);
    return read;
  } catch (const Error& error) {
    const std::string text = error.what();
    fail(text.starts_with(where) ? "" : where + ": ", text);
  }
}

ModelFile load_model(const std::filesystem::path& path, const CustomFactory& custom) {
  return from_file(TensorFile::read(path), custom);
}

}  // namespace detent::runtime
