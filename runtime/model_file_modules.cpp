#include <algorithm>

#include "detent/io/option_reader.h"
#include "detent/runtime/model_file_parts.h"

/// Files of version 1: the graph is a list of modules, {"name", "kind", "inputs", "options"}, or {"name", "inputs",
/// "shares": name of an earlier node}, whose module stands here too; types follow from the modules.
namespace detent::runtime {
namespace {

using nlohmann::json;

/// What the options of convolutions and linear layers say of geometry.
struct LayerOptions {
  std::int64_t outputs = 0, inputs = 0;
  std::int64_t kernel = 1, stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true, relu = false;
};

LayerOptions conv_layer(const json& options) {
  OptionReader reader("conv2d", options);
  LayerOptions layer{.outputs = reader.integer("out_channels", 0),
                     .inputs = reader.integer("in_channels", 0),
                     .kernel = reader.integer("kernel", 3),
                     .stride = reader.integer("stride", 1),
                     .padding = reader.integer("padding", 0),
                     .dilation = reader.integer("dilation", 1),
                     .groups = reader.integer("groups", 1),
                     .bias = reader.boolean("bias", true),
                     .relu = reader.boolean("relu", false)};
  reader.text("init", "default");
  reader.finish();
  for (const std::int64_t value : {layer.outputs, layer.kernel, layer.stride, layer.dilation, layer.groups}) {
    check_extent("conv2d", "an option", value);
  }
  check_extent("conv2d", "padding", layer.padding, 0);
  return layer;
}

LayerOptions linear_layer(const json& options) {
  OptionReader reader("linear", options);
  LayerOptions layer{.outputs = reader.integer("out_features", 0),
                     .inputs = reader.integer("in_features", 0),
                     .bias = reader.boolean("bias", true),
                     .relu = reader.boolean("relu", false)};
  reader.text("init", "default");
  reader.finish();
  check_extent("linear", "out_features", layer.outputs);
  return layer;
}

/// A node of the file with what it reads, and what becomes of it.
class ModuleReader {
 public:
  ModuleReader(std::string name, std::string owner, const json& options, std::vector<ValueType> inputs,
               StoredTensors& tensors)
      : name_(std::move(name)),
        owner_(std::move(owner)),
        options_(options),
        inputs_(std::move(inputs)),
        tensors_(tensors) {}

  Node read(const std::string& kind, const CustomFactory& custom) {
    node_.name = name_;
    using Read = void (ModuleReader::*)();
    static const std::map<std::string, Read, std::less<>> kinds{{"quantize", &ModuleReader::quantize},
                                                                {"dequantize", &ModuleReader::dequantize},
                                                                {"int8_conv2d", &ModuleReader::int8_conv},
                                                                {"int8_linear", &ModuleReader::int8_linear},
                                                                {"int8_add", &ModuleReader::int8_add},
                                                                {"int8_avg_pool2d", &ModuleReader::int8_average},
                                                                {"code_relu", &ModuleReader::code_relu},
                                                                {"conv2d", &ModuleReader::conv},
                                                                {"linear", &ModuleReader::linear},
                                                                {"batch_norm", &ModuleReader::batch_norm},
                                                                {"activation", &ModuleReader::activation},
                                                                {"max_pool2d", &ModuleReader::max_pool},
                                                                {"avg_pool2d", &ModuleReader::average_pool},
                                                                {"global_avg_pool2d", &ModuleReader::global_average},
                                                                {"add", &ModuleReader::add},
                                                                {"dropout", &ModuleReader::dropout},
                                                                {"flatten", &ModuleReader::flatten}};
    if (const auto found = kinds.find(kind); found != kinds.end()) {
      check(inputs_.size() == (kind == "add" || kind == "int8_add" ? 2U : 1U), "it has ", inputs_.size(), " inputs");
      (this->*found->second)();
    } else {
      custom_op(kind, custom);
    }
    check_elements(name_, node_.output.shape);
    return std::move(node_);
  }

 private:
  const ValueType& x() const { return inputs_[0]; }
  void expect_codes() const { check(x().is_codes(), "expected an input of codes"); }
  void expect_reals() const { check(!x().is_codes(), "expected an input of real numbers"); }

  void gives(Op op, Shape shape) {
    node_.op = std::move(op);
    node_.output.shape = std::move(shape);
  }
  /// Codes on the map that the file has for this node.
  void gives_codes(std::int64_t bits) {
    node_.output.dtype = DType::U8;
    node_.output.qparams = codes_map(tensors_.take_map(owner_, "output"), bits);
  }
  /// What the input is: codes on its map, or real numbers.
  void gives_same() {
    node_.output.dtype = x().dtype;
    node_.output.qparams = x().qparams;
  }
  void no_options(std::string_view kind) const { OptionReader(kind, options_).finish(); }

  void quantize() {
    expect_reals();
    const json& activation = member(options_, "activation", name_);
    check(text_member(activation, "state", name_) == "frozen", "still observes its range");
    gives(Quantize(), x().shape);
    gives_codes(integer_member(activation, "bits", name_, 2));
    for (const char* extreme : {"output_min", "output_max"}) {
      tensors_.take(owner_, extreme, DType::F32, Shape{1});
    }
  }

  void dequantize() {
    expect_codes();
    no_options("dequantize");
    gives(Dequantize(), x().shape);
  }

  kernels::ConvShape conv_shape(const LayerOptions& layer) const {
    const Shape& image = x().shape;
    check(image.rank() == 3, "expected images [H, W, C], got ", image);
    check(layer.inputs == image[2], "expected ", layer.inputs, " channels, got ", image);
    const kernels::ConvShape shape{.n = 1,
                                   .h = image[0],
                                   .w = image[1],
                                   .c = image[2],
                                   .o = layer.outputs,
                                   .kh = layer.kernel,
                                   .kw = layer.kernel,
                                   .stride_h = layer.stride,
                                   .stride_w = layer.stride,
                                   .padding = layer.padding,
                                   .dilation_h = layer.dilation,
                                   .dilation_w = layer.dilation,
                                   .groups = layer.groups};
    check_elements(name_, {shape.o, shape.kh, shape.kw, shape.c});
    shape.validate();
    return shape;
  }

  kernels::ConvShape linear_shape(const LayerOptions& layer) const {
    check(x().shape == Shape{layer.inputs}, "expected examples [", layer.inputs, "], got ", x().shape);
    check_elements(name_, {layer.outputs, layer.inputs});
    return kernels::ConvShape::linear(1, layer.inputs, layer.outputs);
  }

  /// `shape` says where its weight lies; `weight_shape` how the file has it.
  void float_product(const LayerOptions& layer, const kernels::ConvShape& shape, const Shape& weight_shape,
                     Shape result) {
    expect_reals();
    Product product{.shape = shape,
                    .weight = tensors_.take(owner_, "weight", DType::F32, weight_shape),
                    .bias = {},
                    .relu = layer.relu};
    if (layer.bias) {
      product.bias = tensors_.take(owner_, "bias", DType::F32, Shape{layer.outputs});
    }
    gives(std::move(product), std::move(result));
  }

  void int8_product(const LayerOptions& layer, const kernels::ConvShape& shape, const Shape& weight_shape,
                    Shape result) {
    expect_codes();
    OptionReader reader("int8", member(options_, "int8", name_));
    const std::int64_t weight_bits = reader.integer("weight_bits", 8), output_bits = reader.integer("output_bits", 8);
    const bool is_per_channel = reader.boolean("per_channel", true), has_bias = reader.boolean("bias", true);
    Product product{.shape = shape,
                    .weight = tensors_.take(owner_, "weight", DType::S8, weight_shape),
                    .bias = {},
                    .relu = reader.boolean("relu", false)};
    reader.finish();
    product.weight =
        product.weight.with_qparams(weight_map(tensors_, owner_, layer.outputs, is_per_channel, weight_bits));
    if (has_bias) {
      product.bias = tensors_.take(owner_, "bias", DType::S32, Shape{layer.outputs});
    }
    check(tensors_.take_map(owner_, "input") == x().qparams->tensor(),
          "the input's scale and zero point are not those that the layer was converted for");
    gives(std::move(product), std::move(result));
    gives_codes(output_bits);
  }

  void conv() {
    const LayerOptions layer = conv_layer(options_);
    const kernels::ConvShape shape = conv_shape(layer);
    float_product(layer, shape, shape.weight_shape(), {shape.out_h(), shape.out_w(), shape.o});
  }
  void linear() {
    const LayerOptions layer = linear_layer(options_);
    float_product(layer, linear_shape(layer), {layer.outputs, layer.inputs}, {layer.outputs});
  }
  void int8_conv() {
    check_keys(options_, {"layer", "int8"}, name_);
    const LayerOptions layer = conv_layer(member(options_, "layer", name_));
    const kernels::ConvShape shape = conv_shape(layer);
    int8_product(layer, shape, shape.weight_shape(), {shape.out_h(), shape.out_w(), shape.o});
  }
  void int8_linear() {
    check_keys(options_, {"layer", "int8"}, name_);
    const LayerOptions layer = linear_layer(member(options_, "layer", name_));
    int8_product(layer, linear_shape(layer), {layer.outputs, layer.inputs}, {layer.outputs});
  }

  void int8_add() {
    expect_codes();
    OptionReader reader("int8_add", options_);
    gives(Add{.relu = reader.boolean("relu", false)}, x().shape);
    gives_codes(reader.integer("output_bits", 8));
    reader.finish();
  }

  void add() {
    no_options("add");
    gives(Add(), x().shape);
  }

  /// A pool over windows, or, with kernel 0, over the whole image.
  void pool(PoolKind kind, std::int64_t kernel, std::int64_t stride, std::int64_t padding) {
    const Shape& image = x().shape;
    check(image.rank() == 3, "expected images [H, W, C], got ", image);
    if (kernel == 0) {
      gives(Pool{.kind = kind, .shape = kernels::PoolShape::global(1, image[0], image[1], image[2])}, {image[2]});
      return;
    }
    for (const std::int64_t value : {kernel, stride, padding}) {
      check_extent("pool", "an option", value, 0);
    }
    check_elements(name_, {kernel, kernel});
    const kernels::PoolShape shape{.n = 1,
                                   .h = image[0],
                                   .w = image[1],
                                   .c = image[2],
                                   .kh = kernel,
                                   .kw = kernel,
                                   .stride_h = stride == 0 ? kernel : stride,
                                   .stride_w = stride == 0 ? kernel : stride,
                                   .padding = padding};
    shape.validate();
    gives(Pool{.kind = kind, .shape = shape}, {shape.out_h(), shape.out_w(), shape.c});
  }

  void windows(PoolKind kind, const json& options, std::int64_t default_kernel) {
    OptionReader reader("pool2d", options);
    const std::int64_t kernel = reader.integer("kernel", default_kernel), stride = reader.integer("stride", 0),
                       padding = reader.integer("padding", 0);
    reader.finish();
    check(kernel > 0 || default_kernel == 0, "kernel: expected at least 1, got ", kernel);
    pool(kind, kernel, stride, padding);
  }

  void max_pool() {
    windows(PoolKind::Max, options_, 2);
    gives_same();
  }
  void average_pool() {
    expect_reals();
    windows(PoolKind::Average, options_, 2);
  }
  void global_average() {
    expect_reals();
    no_options("global_avg_pool2d");
    pool(PoolKind::Average, 0, 0, 0);
  }
  void int8_average() {
    expect_codes();
    check_keys(options_, {"geometry", "output_bits"}, name_);
    windows(PoolKind::Average, member(options_, "geometry", name_), 0);
    gives_codes(integer_member(options_, "output_bits", name_, 2));
  }

  void code_relu() {
    expect_codes();
    no_options("code_relu");
    const std::int32_t zero_point = x().qparams->tensor().zero_point, qmax = x().qparams->codes.qmax;
    Tensor table = Tensor::empty({256}, DType::U8);
    for (std::int32_t q = 0; q < 256; ++q) {
      table.data<std::uint8_t>()[static_cast<std::size_t>(q)] =
          static_cast<std::uint8_t>(std::clamp(q, zero_point, qmax));
    }
    gives(Lookup{.table = std::move(table)}, x().shape);
    gives_same();
  }

  void batch_norm() {
    expect_reals();
    OptionReader reader("batch_norm", options_);
    reader.real("momentum", 0.1);
    reader.boolean("frozen", false);
    const bool is_affine = reader.boolean("affine", true);
    const Shape channels{reader.integer("channels", 0)};
    BatchNorm norm{.mean = tensors_.take(owner_, "running_mean", DType::F32, channels),
                   .variance = tensors_.take(owner_, "running_var", DType::F32, channels),
                   .weight = {},
                   .bias = {},
                   .epsilon = reader.real("epsilon", 1e-5)};
    reader.finish();
    if (is_affine) {
      norm.weight = tensors_.take(owner_, "weight", DType::F32, channels);
      norm.bias = tensors_.take(owner_, "bias", DType::F32, channels);
    }
    gives(std::move(norm), x().shape);
  }

  void activation() {
    expect_reals();
    OptionReader reader("activation", options_);
    Activation activation{.function = kernels::activation_from_name(reader.text("function", "relu")),
                          .slope = reader.real("slope", kernels::kLeakySlope)};
    reader.finish();
    gives(activation, x().shape);
  }

  void dropout() {
    OptionReader reader("dropout", options_);
    reader.real("p", 0.5);
    reader.finish();
    gives(Reshape(), x().shape);
    gives_same();
  }

  void flatten() {
    no_options("flatten");
    gives(Reshape(), {x().shape.elements()});
    gives_same();
  }

  /// Those of version 1 give real numbers.
  void custom_op(const std::string& kind, const CustomFactory& custom) {
    check(custom != nullptr, "unknown kind ", in_message(json(kind)));
    MadeCustom made = custom({.node = name_,
                              .kind = kind,
                              .options = options_,
                              .tensors = tensors_.take_all(owner_, ""),
                              .inputs = inputs_});
    gives(Custom{std::move(made.op)}, std::move(made.shape));
  }

  std::string name_, owner_;
  const json& options_;
  std::vector<ValueType> inputs_;
  StoredTensors& tensors_;
  Node node_;
};

}  // namespace

Model model_from_modules(const json& graph, StoredTensors& tensors, const CustomFactory& custom) {
  check_keys(graph, {"input", "nodes", "output"}, "the description");
  Model model;
  NamedValues values(model);
  values.add_input({"input", {.shape = shape_of(member(graph, "input", "the description"), "input")}});
  const json& nodes = member(graph, "nodes", "the description");
  check(nodes.is_array(), "graph: nodes: expected a list");
  struct Owner {
    std::string name, kind;
    const json* options;
  };
  std::map<std::string, Owner, std::less<>> owners;
  for (const json& node : nodes) {
    const std::string name = name_member(node, "a node");
    named_errors(name, [&] {
      const bool shares = node.contains("shares");
      check_keys(node,
                 shares ? std::set<std::string>{"name", "inputs", "shares", "note"}
                        : std::set<std::string>{"name", "kind", "inputs", "options", "note"},
                 name);
      if (shares) {
        const auto owner = owners.find(text_member(node, "shares", name));
        check(owner != owners.end(), "graph: ", name, ": shares: no such node before it");
        owners[name] = owner->second;
      } else {
        owners[name] = {name, text_member(node, "kind", name), &member(node, "options", name)};
      }
      const Owner& owner = owners.at(name);
      const std::vector<ValueId> inputs = values.inputs_of(node, name);
      std::vector<ValueType> types;
      std::ranges::transform(inputs, std::back_inserter(types), [&](ValueId input) { return model.type(input); });
      Node read = ModuleReader(name, owner.name, *owner.options, std::move(types), tensors).read(owner.kind, custom);
      read.inputs = inputs;
      read.note = node.contains("note") ? text_member(node, "note", name) : "";
      values.add_node(std::move(read));
    });
  }
  model.output = values.find(text_member(graph, "output", "the description"), "output");
  return model;
}

}  // namespace detent::runtime
