#include "detent/interchange/onnx/out/writer.h"

#include "detent/core/error.h"

namespace detent::onnx {

ValueInfo info_of(const std::string& name, const runtime::ValueType& type) {
  const Shape& s = type.shape;
  check(s.rank() == 1 || s.rank() == 3, "its values are ", s,
        " an example; ONNX models are written of rows and images");
  ValueInfo info{.name = name, .type = type.is_codes() ? ElementType::U8 : ElementType::F32, .batch = "N"};
  info.dims = s.rank() == 1 ? std::vector<std::int64_t>{-1, s[0]} : std::vector<std::int64_t>{-1, s[2], s[0], s[1]};
  return info;
}

std::string Writer::node(std::string op, std::vector<std::string> inputs, std::string output,
                         std::vector<Attribute> attributes) {
  made.nodes.push_back({.name = output,
                        .op = std::move(op),
                        .inputs = std::move(inputs),
                        .outputs = {output},
                        .attributes = std::move(attributes)});
  return output;
}

std::string Writer::constant(Array array) {
  made.initializers.push_back(std::move(array));
  return made.initializers.back().name;
}

std::vector<std::string> Writer::map_of(runtime::ValueId value) {
  std::vector<std::string>& names = maps_[value];
  if (names.empty()) {
    const ScaleZero map = type(value).qparams->tensor();
    names.push_back(constant(between(value, "scale"), map.scale));
    Array zero{.name = between(value, "zero_point"), .type = ElementType::U8};
    zero.bytes.push_back(static_cast<std::byte>(map.zero_point));
    names.push_back(constant(std::move(zero)));
  }
  return names;
}

std::string Writer::real(runtime::ValueId value) {
  if (!type(value).is_codes()) {
    return name(value);
  }
  std::string& known = reals_[value];
  if (known.empty()) {
    known = dequantize(value, between(value, "real"));
  }
  return known;
}

std::string Writer::dequantize(runtime::ValueId value, const std::string& output) {
  const std::vector<std::string> map = map_of(value);
  return node("DequantizeLinear", {name(value), map[0], map[1]}, output);
}

void Writer::finish_unchanged(runtime::ValueId value) {
  if (form_ == Form::Qdq) {
    finish(value, made.nodes.back().outputs[0]);
    return;
  }
  made.nodes.back().outputs[0] = name(value);
  made.nodes.back().name = name(value);
}

void Writer::finish(runtime::ValueId value, const std::string& from) {
  if (!type(value).is_codes()) {
    made.nodes.back().outputs[0] = name(value);
    made.nodes.back().name = name(value);
    return;
  }
  constexpr std::int32_t kLargestCode = 255;
  const CodeRange codes = type(value).qparams->codes;
  std::string clipped = from;
  if (codes.qmin > 0 || codes.qmax < kLargestCode) {
    const ScaleZero map = type(value).qparams->tensor();
    const auto real_of = [&](std::int32_t code) { return map.scale * static_cast<float>(code - map.zero_point); };
    clipped = node("Clip",
                   {from, constant(between(value, "min"), real_of(codes.qmin)),
                    constant(between(value, "max"), real_of(codes.qmax))},
                   between(value, "clipped"));
  }
  const std::vector<std::string> map = map_of(value);
  node("QuantizeLinear", {clipped, map[0], map[1]}, name(value));
}

}  // namespace detent::onnx
