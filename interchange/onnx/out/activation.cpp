// Functions of one value, of real numbers; those that the opset lacks in parts.
#include <cmath>

#include "detent/core/error.h"
#include "detent/interchange/onnx/out/writer.h"

namespace detent::onnx {
namespace {

using runtime::ValueId;

void write_gelu(Writer& writer, const std::string& x, ValueId value) {
  constexpr std::int64_t kOpsetOfGelu = 20;
  const auto named = [&](const char* what) { return writer.between(value, what); };
  if (writer.opset() >= kOpsetOfGelu) {
    writer.node("Gelu", {x}, named("gelu"));
    return;
  }
  const auto root = static_cast<float>(std::sqrt(2.0));
  std::string y = writer.node("Div", {x, writer.constant(named("root"), root)}, named("scaled"));
  y = writer.node("Erf", {y}, named("erf"));
  y = writer.node("Add", {y, writer.constant(named("one"), 1.0F)}, named("shifted"));
  y = writer.node("Mul", {x, y}, named("twice"));
  writer.node("Mul", {y, writer.constant(named("half"), 0.5F)}, named("gelu"));
}

void write_hard_swish(Writer& writer, const std::string& x, ValueId value) {
  constexpr std::int64_t kOpsetOfHardSwish = 14;
  if (writer.opset() >= kOpsetOfHardSwish) {
    writer.node("HardSwish", {x}, writer.between(value, "hard_swish"));
    return;
  }
  const std::string y =
      writer.node("HardSigmoid", {x}, writer.between(value, "gate"), {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}});
  writer.node("Mul", {x, y}, writer.between(value, "hard_swish"));
}

}  // namespace

void write_activation(Writer& writer, const runtime::Node& node, const runtime::Activation& activation, ValueId value) {
  const std::string x = writer.real(node.inputs[0]);
  const auto named = [&](const char* what) { return writer.between(value, what); };
  switch (activation.function) {
    case kernels::Activation::Relu:
      writer.node("Relu", {x}, named("relu"));
      break;
    case kernels::Activation::Relu6:
      writer.node("Clip", {x, writer.constant(named("lowest"), 0.0F), writer.constant(named("highest"), 6.0F)},
                  named("relu6"));
      break;
    case kernels::Activation::LeakyRelu:
      writer.node("LeakyRelu", {x}, named("relu"), {{"alpha", static_cast<float>(activation.slope)}});
      break;
    case kernels::Activation::Sigmoid:
      writer.node("Sigmoid", {x}, named("sigmoid"));
      break;
    case kernels::Activation::Tanh:
      writer.node("Tanh", {x}, named("tanh"));
      break;
    case kernels::Activation::Gelu:
      write_gelu(writer, x, value);
      break;
    case kernels::Activation::HardSwish:
      write_hard_swish(writer, x, value);
      break;
    case kernels::Activation::Silu:
      writer.node("Mul", {x, writer.node("Sigmoid", {x}, named("gate"))}, named("silu"));
      break;
    case kernels::Activation::Sign: {
      const std::string is_up =
          writer.node("GreaterOrEqual", {x, writer.constant(named("zero"), 0.0F)}, named("is_up"));
      writer.node("Where", {is_up, writer.constant(named("up"), 1.0F), writer.constant(named("down"), -1.0F)},
                  named("sign"));
      break;
    }
  }
  writer.finish(value, writer.made.nodes.back().outputs[0]);
}

}  // namespace detent::onnx
