#include "detent/nn/modules/activation_layer.h"

#include <algorithm>

#include <nlohmann/json.hpp>
#include "detent/autograd/ops.h"

#include "detent/io/option_reader.h"
#include "detent/quant/kinds/quantized_ops.h"
#include "detent/quant/kinds/rows.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {
namespace {

using nlohmann::json;

/// ReLU of codes whose module could not take it in: exact, on the same map.
class CodeRelu : public nn::Module {
 public:
  std::string_view kind() const override { return "code_relu"; }
  nlohmann::json options() const override;
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
};

json CodeRelu::options() const { return json::object(); }

std::shared_ptr<nn::Module> CodeRelu::from_options(const json& options) {
  OptionReader("code_relu", options).finish();
  return std::make_shared<CodeRelu>();
}

nn::Variable CodeRelu::forward(nn::Context&, std::span<const nn::Variable> inputs) {
  return inputs[0].value().qparams() ? relu_codes(inputs[0]) : autograd::relu(inputs[0]);
}

void prepare_relu(Preparation& pass, std::size_t index, const QConfig& config) {
  prepare_on_codes(pass, index, config, std::make_shared<CodeRelu>());
}

Lowered lower_float(const nn::Graph::Node& node, std::span<const runtime::ValueType>) {
  const nn::ActivationLayer::Options& settings = module_of<nn::ActivationLayer>(node).settings();
  return {.op = runtime::Activation{.function = settings.function, .slope = settings.slope}};
}

/// y_q = max(x_q, zero_point), as a table.
Lowered lower_codes(const nn::Graph::Node&, std::span<const runtime::ValueType> inputs) {
  const std::int32_t zero_point = inputs[0].qparams->tensor().zero_point, qmax = inputs[0].qparams->codes.qmax;
  Tensor table = Tensor::empty({256}, DType::U8);
  for (std::int32_t q = 0; q < 256; ++q) {
    table.data<std::uint8_t>()[static_cast<std::size_t>(q)] =
        static_cast<std::uint8_t>(std::clamp(q, zero_point, qmax));
  }
  return {.op = runtime::Lookup{.table = std::move(table)}};
}

}  // namespace

Kinds activation_kinds() {
  Kind in_float = kind_of_class<nn::ActivationLayer>();
  in_float.prepare = &prepare_relu;
  in_float.can_prepare = &is_relu;
  in_float.lower = &lower_float;
  Kind relu = kind_of_class<CodeRelu>();
  relu.is_prepared = true;
  relu.keeps_map = true;
  relu.lower = &lower_codes;
  return {{"activation", in_float}, {"code_relu", relu}};
}

}  // namespace detent::quant
