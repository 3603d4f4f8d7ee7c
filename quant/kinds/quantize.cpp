#include "detent/quant/kinds/quantize.h"

#include "detent/autograd/ops.h"
#include "detent/quant/kinds/observed_output.h"
#include "detent/quant/kinds/rows.h"

namespace detent::quant {

using nlohmann::json;

json Quantize::options() const { return output_options(output_, range_); }

std::shared_ptr<nn::Module> Quantize::from_options(const json& options) {
  json rest = options;
  const OutputOptions read = take_output_options(rest, "quantize");
  OptionReader("quantize", rest).finish();
  return std::make_shared<Quantize>(read.activation.config, read.activation.state, read.range);
}

nn::Variable Quantize::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  const Variable x = autograd::widen(inputs[0]);
  if (output_.is_calibrating()) {
    return calibrated(output_, x);
  }
  return observe_make_and_learn(
      context, *this, output_, range_, x.shape()[0],
      [&](const std::shared_ptr<const QParams>& map, MinMax* seen) { return quantize_op(x, map, seen); },
      [x = x.value()] { return x; });
}

json Dequantize::options() const { return json::object(); }

std::shared_ptr<nn::Module> Dequantize::from_options(const json& options) {
  OptionReader("dequantize", options).finish();
  return std::make_shared<Dequantize>();
}

nn::Variable Dequantize::forward(nn::Context&, std::span<const nn::Variable> inputs) {
  return inputs[0].value().qparams() ? dequantize_op(inputs[0]) : inputs[0];
}

Kinds quantize_kinds() {
  using Inputs = std::span<const runtime::ValueType>;
  Kind quantize = kind_of_class<Quantize>();
  quantize.is_prepared = true;
  quantize.lower = [](const nn::Graph::Node&, Inputs) {
    return Lowered{.op = runtime::Quantize(), .how = "real numbers to codes"};
  };
  Kind dequantize = kind_of_class<Dequantize>();
  dequantize.is_prepared = true;
  dequantize.lower = [](const nn::Graph::Node&, Inputs) {
    return Lowered{.op = runtime::Dequantize(), .how = "codes to real numbers"};
  };
  return {{"quantize", quantize}, {"dequantize", dequantize}};
}

}  // namespace detent::quant
