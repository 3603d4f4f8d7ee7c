#include "detent/interchange/onnx/out/export.h"

#include <algorithm>

#include "detent/core/error.h"
#include "detent/interchange/onnx/out/writer.h"

namespace detent::onnx {
namespace {

using runtime::ValueId;

constexpr std::int64_t kLastOpsetWritten = 21;

bool is_image(const Shape& shape) { return shape.rank() == 3; }

/// The operations of the source, each as those of the format that make it up.
struct WriteNode {
  Writer& writer;
  const runtime::Node& node;
  ValueId value;

  std::string x(std::size_t i = 0) const { return writer.real(node.inputs[i]); }
  const Shape& shape_in() const { return writer.type(node.inputs[0]).shape; }
  const Shape& shape_out() const { return node.output.shape; }
  std::string named(const char* what) const { return writer.between(value, what); }
  /// The axis of the channels in the format.
  std::int64_t channels() const { return is_image(shape_out()) ? 1 : -1; }
  std::string relu(const std::string& from, bool wanted) const {
    return wanted ? writer.node("Relu", {from}, named("relu")) : from;
  }

  void operator()(const runtime::Quantize&) const { writer.finish(value, x()); }
  void operator()(const runtime::Dequantize&) const { writer.dequantize(node.inputs[0], writer.name(value)); }
  void operator()(const runtime::Product& product) const { write_product(writer, node, product, value); }
  void operator()(const runtime::HybridProduct& product) const { write_product(writer, node, product, value); }
  void operator()(const runtime::Activation& activation) const { write_activation(writer, node, activation, value); }
  void operator()(const runtime::Add& add) const {
    writer.finish(value, relu(writer.node("Add", {x(0), x(1)}, named("sum")), add.relu));
  }
  void operator()(const runtime::Concat&) const {
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      parts.push_back(x(i));
    }
    const std::int64_t axis = is_image(shape_out()) ? 1 : -1;
    writer.finish(value, writer.node("Concat", parts, named("joined"), {{"axis", axis}}));
  }
  void operator()(const runtime::Pool& pool) const {
    const kernels::PoolShape& s = pool.shape;
    check(is_image(shape_in()), "it pools values of ", shape_in());
    std::vector<Attribute> attributes{
        {"kernel_shape", Numbers{s.kh, s.kw}},
        {"strides", Numbers{s.stride_h, s.stride_w}},
        {"pads", Numbers{s.padding.top, s.padding.left, s.padding.bottom, s.padding.right}}};
    const bool is_max = pool.kind == runtime::PoolKind::Max;
    const bool is_global = !is_max && s.out_h() == 1 && s.out_w() == 1 && s.kh == s.h && s.kw == s.w;
    if (is_global) {
      attributes.clear();
    } else if (!is_max) {
      attributes.push_back({"count_include_pad", std::int64_t{1}});
    }
    const char* const op = is_max ? "MaxPool" : is_global ? "GlobalAveragePool" : "AveragePool";
    std::string y =
        writer.node(op, {is_max ? writer.unchanged(node.inputs[0]) : x()}, named("pooled"), std::move(attributes));
    if (!is_image(shape_out())) {
      check(s.out_h() == 1 && s.out_w() == 1, "it pools images to ", shape_out());
      y = writer.node("Flatten", {y}, named("row"), {{"axis", std::int64_t{1}}});
    }
    if (is_max) {
      writer.finish_unchanged(value);
    } else {
      writer.finish(value, y);
    }
  }
  void operator()(const runtime::Lookup& lookup) const {
    const std::string& codes = writer.name(node.inputs[0]);
    Array table{.name = named("table"), .type = ElementType::U8, .dims = {lookup.table.elements()}};
    table.bytes.assign(lookup.table.raw(), lookup.table.raw() + lookup.table.bytes());
    if (lookup.table.shape().rank() == 2) {
      constexpr std::int32_t kCodes = 256;
      std::vector<std::int32_t> offsets;
      for (std::int64_t c = 0; c < lookup.table.shape()[0]; ++c) {
        offsets.push_back(static_cast<std::int32_t>(c) * kCodes);
      }
      const std::int64_t count = lookup.table.shape()[0];
      const std::string of_channel = writer.constant(
          Array::of(named("offsets"), is_image(shape_out()) ? Numbers{count, 1, 1} : Numbers{count}, offsets));
      const std::string index =
          writer.node("Cast", {codes}, named("index"), {{"to", static_cast<std::int64_t>(ElementType::S32)}});
      const std::string of_both = writer.node("Add", {index, of_channel}, named("index_of_channel"));
      writer.node("Gather", {writer.constant(std::move(table)), of_both}, writer.name(value));
    } else {
      write_table(writer, codes, std::move(table), writer.name(value));
    }
  }
  void operator()(const runtime::Softmax&) const {
    writer.finish(value, writer.node("Softmax", {x()}, named("softmax"), {{"axis", channels()}}));
  }
  void operator()(const runtime::Reshape&) const {
    std::string y = writer.unchanged(node.inputs[0]);
    if (is_image(shape_in())) {
      y = writer.node("Transpose", {y}, named("channels_last"), {{"perm", Numbers{0, 2, 3, 1}}});
    }
    Numbers extents{0};  // as many examples as there are
    extents.insert(extents.end(), shape_out().extents().begin(), shape_out().extents().end());
    const auto rank = static_cast<std::int64_t>(extents.size());
    y = writer.node("Reshape", {y, writer.constant(Array::of(named("shape"), {rank}, extents))}, named("reshaped"));
    if (is_image(shape_out())) {
      y = writer.node("Transpose", {y}, named("channels_first"), {{"perm", Numbers{0, 3, 1, 2}}});
    }
    writer.finish_unchanged(value);
  }
  void operator()(const runtime::BatchNorm& norm) const {
    const std::int64_t count = norm.mean.elements();
    const auto numbers = [&](const Tensor& tensor, const char* what, float other) {
      std::vector<float> values(static_cast<std::size_t>(count), other);
      if (tensor.defined()) {
        std::ranges::copy(tensor.data<float>(), values.begin());
      }
      return writer.constant(Array::of(named(what), {count}, values));
    };
    const std::vector<std::string> inputs{x(), numbers(norm.weight, "weight", 1.0F), numbers(norm.bias, "bias", 0.0F),
                                          numbers(norm.mean, "mean", 0.0F), numbers(norm.variance, "variance", 1.0F)};
    writer.finish(value, writer.node("BatchNormalization", inputs, named("normalized"),
                                     {{"epsilon", static_cast<float>(norm.epsilon)}}));
  }
  void operator()(const runtime::Custom& custom) const {
    fail("it is an operation of the program's own (", custom.op->kind(), "), for which ONNX has no form");
  }
};

bool needs_blocks(const runtime::Model& model, Form form) {
  constexpr std::int32_t kLargestInt4 = 7;
  return std::ranges::any_of(model.nodes, [&](const runtime::Node& node) {
    const Tensor* const weight = runtime::product_weight(node.op);
    const QParams* const map = weight == nullptr ? nullptr : weight->qparams().get();
    const bool is_int8 = form != Form::Qdq && node.output.is_codes();
    return map != nullptr && (map->is_per_group() || (map->codes.qmax <= kLargestInt4 && !is_int8));
  });
}

}  // namespace

Form parse_form(const std::string& name) {
  check(name == "qdq" || name == "qoperator" || name == "integer", "expected qdq, qoperator or integer, got '", name,
        "'");
  return name == "qdq" ? Form::Qdq : name == "integer" ? Form::Integer : Form::QOperator;
}

std::string name_of(Form form) { return form == Form::Qdq ? "qdq" : form == Form::Integer ? "integer" : "qoperator"; }

Model export_model(const runtime::Model& model, const ExportOptions& options) {
  constexpr std::int64_t kIrOfBlocks = 10, kIr = 7;
  model.validate();
  const std::int64_t wanted = options.opset;
  check(wanted == 0 || (kFirstOpsetWritten <= wanted && wanted <= kLastOpsetWritten), "onnx: opset ", wanted,
        ": expected ", kFirstOpsetWritten, " to ", kLastOpsetWritten);
  const std::int64_t opset = wanted != 0                         ? wanted
                             : needs_blocks(model, options.form) ? kOpsetOfBlocks
                                                                 : kFirstOpsetWritten;
  Writer writer(model, opset, options.form);
  writer.made.producer = "detent";
  writer.made.ir_version = opset > 18 ? kIrOfBlocks : kIr;
  writer.made.opsets[""] = opset;
  if (!options.model_sha256.empty()) {
    writer.made.metadata[kModelDigest] = options.model_sha256;
    writer.made.metadata[kModelForm] = name_of(options.form);
  }
  for (const runtime::Input& input : model.inputs) {
    writer.made.inputs.push_back(info_of(input.name, input.type));
  }
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    const runtime::Node& node = model.nodes[i];
    try {
      (void)info_of(node.name, node.output);
      if (options.form == Form::Qdq || !write_of_codes(writer, node, model.value_of(i))) {
        std::visit(WriteNode{writer, node, model.value_of(i)}, node.op);
      }
    } catch (const Error& error) {
      fail("onnx: ", node.name, ": ", error.what());
    }
  }
  writer.made.outputs.push_back(info_of(model.name(model.output), model.type(model.output)));
  return std::move(writer.made);
}

}  // namespace detent::onnx
