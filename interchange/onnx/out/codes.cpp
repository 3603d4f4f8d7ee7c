// Operations between codes, of the QOperator and Integer forms: those that need no product.
#include <span>

#include "detent/core/error.h"
#include "detent/interchange/onnx/out/writer.h"
#include "detent/kernels/codes/lookup.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/targets/rounding_target.h"

namespace detent::onnx {
namespace {

using runtime::ValueId;

/// Each says whether it wrote the node.
struct WriteCodes {
  Writer& writer;
  const runtime::Node& node;
  ValueId value;

  ScaleZero map(std::size_t i) const { return writer.type(node.inputs[i]).qparams->tensor(); }
  const QParams& out() const { return *node.output.qparams; }
  const std::string& in(std::size_t i) const { return writer.name(node.inputs[i]); }
  std::string named(const std::string& what) const { return writer.between(value, what); }
  bool is_integer() const { return writer.form() == Form::Integer; }

  template <typename Other>
  bool operator()(const Other&) const {
    return false;
  }
  bool operator()(const runtime::Product& product) const {
    return write_product_of_codes(writer, node, product, value);
  }

  bool operator()(const runtime::Add& add) const {
    if (!is_integer()) {
      return false;
    }
    // (q - zero_point) * M, in f32, is what DequantizeLinear with the scale M gives.
    const auto scaled = [&](std::size_t i, const std::string& side) {
      const float multiplier = kernels::multiplier_of(double{map(i).scale} / double{out().tensor().scale});
      return writer.node(
          "DequantizeLinear",
          {in(i), writer.constant(named(side + "_multiplier"), multiplier), writer.map_of(node.inputs[i])[1]},
          named(side));
    };
    const std::string a = scaled(0, "a"), b = scaled(1, "b");
    finish_sum(writer, value, writer.node("Add", {a, b}, named("sum")), add.relu);
    return true;
  }

  bool operator()(const runtime::Concat&) const {
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const kernels::CodeTable codes = kernels::requantization_table(map(i), out().tensor(), out().codes);
      parts.push_back(in(i));
      if (!kernels::is_identity(codes, writer.type(node.inputs[i]).qparams->codes.qmax)) {
        const std::string part = named("part" + std::to_string(i));
        Array table{.name = part + "_table", .type = ElementType::U8, .dims = {std::ssize(codes)}};
        const auto bytes = std::as_bytes(std::span(codes));
        table.bytes.assign(bytes.begin(), bytes.end());
        write_table(writer, in(i), std::move(table), part);
        parts.back() = part;
      }
    }
    const std::int64_t axis = node.output.shape.rank() == 3 ? 1 : -1;
    writer.node("Concat", std::move(parts), writer.name(value), {{"axis", axis}});
    return true;
  }

  bool operator()(const runtime::Pool& pool) const {
    if (pool.kind == runtime::PoolKind::Max || !is_integer()) {
      return false;
    }
    // The sum of a window is a convolution of each channel with ones.
    const kernels::PoolShape& s = pool.shape;
    Array ones{.name = named("ones"), .type = ElementType::S8, .dims = {s.c, 1, s.kh, s.kw}};
    ones.bytes.assign(static_cast<std::size_t>(s.c * s.kh * s.kw), std::byte{1});
    std::string sum = writer.node(
        "ConvInteger", {in(0), writer.constant(std::move(ones)), writer.map_of(node.inputs[0])[1]}, named("sum"),
        {{"kernel_shape", Numbers{s.kh, s.kw}},
         {"strides", Numbers{s.stride_h, s.stride_w}},
         {"pads", Numbers{s.padding.top, s.padding.left, s.padding.bottom, s.padding.right}},
         {"group", s.c}});
    sum = writer.node("Cast", {sum}, named("sum_real"), {{"to", static_cast<std::int64_t>(ElementType::F32)}});
    const float multiplier =
        kernels::make_average_requantization(map(0), s.window(), 1, out().tensor(), out().codes).multiplier[0];
    sum = writer.node("Mul", {sum, writer.constant(named("multiplier"), multiplier)}, named("scaled"));
    if (node.output.shape.rank() != 3) {
      check(s.out_h() == 1 && s.out_w() == 1, "it pools images to ", node.output.shape);
      sum = writer.node("Flatten", {sum}, named("row"), {{"axis", std::int64_t{1}}});
    }
    finish_sum(writer, value, std::move(sum), false);
    return true;
  }
};

}  // namespace

void finish_sum(Writer& writer, ValueId value, std::string sum, bool relu) {
  const QParams& map = *writer.type(value).qparams;
  const ScaleZero to = map.tensor();
  const CodeRange range = kernels::OutputCodes{.map = to, .codes = map.codes, .relu = relu}.clamped();
  const auto named = [&](const char* what) { return writer.between(value, what); };
  const auto constant = [&](const char* what, std::int32_t code) {
    return writer.constant(named(what), static_cast<float>(code));
  };
  if (to.zero_point != 0) {
    sum = writer.node("Add", {sum, constant("zero", to.zero_point)}, named("shifted"));
  }
  sum = writer.node("Round", {sum}, named("rounded"));
  sum = writer.node("Clip", {sum, constant("lowest", range.qmin), constant("highest", range.qmax)}, named("clipped"));
  writer.node("Cast", {sum}, writer.name(value), {{"to", static_cast<std::int64_t>(ElementType::U8)}});
}

void write_table(Writer& writer, const std::string& codes, Array table, const std::string& output) {
  const std::string index =
      writer.node("Cast", {codes}, output + "/index", {{"to", static_cast<std::int64_t>(ElementType::S32)}});
  writer.node("Gather", {writer.constant(std::move(table)), index}, output);
}

bool write_of_codes(Writer& writer, const runtime::Node& node, ValueId value) {
  return node.output.is_codes() && std::visit(WriteCodes{writer, node, value}, node.op);
}

}  // namespace detent::onnx
