#include "detent/nn/modules/activation_layer.h"

#include <algorithm>

#include <nlohmann/json.hpp>
#include <vector>

#include "detent/autograd/ops.h"
#include "detent/io/option_reader.h"
#include "detent/quant/kinds/observed_output.h"
#include "detent/quant/kinds/ops/function_of_codes.h"
#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/kinds/rows.h"
#include "detent/quant/passes/preparation.h"
#include "detent/quant/quantizers/ranges/rules.h"

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

/// An activation as quant sees it, and its derivative.
FunctionOfOne function_of(const nn::ActivationLayer::Options& options) {
  return [function = options.function, slope = options.slope](std::span<const double> x, std::span<double> y,
                                                              std::span<double> derivative) {
    const auto count = static_cast<std::int64_t>(x.size());
    kernels::activation_forward(function, count, x.data(), y.data(), slope);
    if (!derivative.empty()) {
      const std::vector<double> ones(x.size(), 1.0);
      kernels::activation_backward(function, count, kernels::gradient_uses_output(function) ? y.data() : x.data(),
                                   ones.data(), derivative.data(), slope);
    }
  };
}

/// Any activation but ReLU, on codes: codes in, codes of its own map out.
class QatActivation : public nn::Module, public QuantizedOutput {
 public:
  QatActivation(std::shared_ptr<nn::ActivationLayer> layer, const QuantizerSpec& config, FakeQuant::State state,
                RangeUse range)
      : layer_(std::move(layer)), output_(config, state), range_(range) {}
  FakeQuant& output() override { return output_; }
  const nn::ActivationLayer& layer() const { return *layer_; }

  std::string_view kind() const override { return "qat_activation"; }
  std::string_view label() const override { return layer_->label(); }
  json options() const override;
  static std::shared_ptr<nn::Module> from_options(const json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
  std::vector<nn::Slot> slots() override { return output_.slots(); }
  void loaded() override { output_.check_loaded(); }

 private:
  std::shared_ptr<nn::ActivationLayer> layer_;
  FakeQuant output_;
  RangeUse range_;
};

json QatActivation::options() const {
  json options = output_options(output_, range_);
  options["layer"] = layer_->options();
  return options;
}

std::shared_ptr<nn::Module> QatActivation::from_options(const json& options) {
  json rest = options;
  const OutputOptions read = take_output_options(rest, "qat_activation");
  auto layer = std::static_pointer_cast<nn::ActivationLayer>(
      nn::ActivationLayer::from_options(object_at(options, "layer", "qat_activation")));
  rest.erase("layer");
  OptionReader("qat_activation", rest).finish();
  return std::make_shared<QatActivation>(std::move(layer), read.activation.config, read.activation.state, read.range);
}

nn::Variable QatActivation::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  const Variable& x = inputs[0];
  if (output_.is_calibrating()) {
    return calibrated(output_, layer_->forward(context, inputs));
  }
  const FunctionOfOne function = function_of(layer_->settings());
  return observe_make_and_learn(
      context, *this, output_, range_, x.shape()[0],
      [&](const std::shared_ptr<const QParams>& map, MinMax* seen) {
        return function_of_codes("activation", x, function, map, seen);
      },
      [layer = layer_, x = x.value(), arena = context.tape.arena()] {
        return on_inference_tape(arena, [&](nn::Tape& tape) {
          nn::Context inference{.tape = tape};
          return layer->forward(inference, std::vector{dequantize_op(tape.constant(x))});
        });
      });
}

/// The quantizer of an activation's result. A sign's has the map of scale 1 and zero point 1 whatever is asked for: its
/// codes are 0 and 2, which mean -1 and 1 exactly.
QuantizerSpec output_of(const nn::ActivationLayer& layer, const QConfig& config) {
  QuantizerSpec output = config.activation;
  if (layer.settings().function == kernels::Activation::Sign) {
    output = uint8_activations();
    output.grid.bits = 2;
    output.range = {std::string(kFixedRule), {-1.0, 2.0}};
  }
  return output;
}

void prepare_activation(Preparation& pass, std::size_t index, const QConfig& config) {
  if (nn::is_relu(*pass.node(index).module)) {
    return prepare_on_codes(pass, index, config, std::make_shared<CodeRelu>());
  }
  auto layer = std::static_pointer_cast<nn::ActivationLayer>(
      nn::ActivationLayer::from_options(pass.node(index).module->options()));
  const QuantizerSpec output = output_of(*layer, config);
  pass.add({index}, std::make_shared<QatActivation>(std::move(layer), output, pass.state(), config.range),
           {pass.codes_of(pass.node(index).inputs[0], config)}, true);
}

Lowered lower_activation(const nn::Graph::Node& node, std::span<const runtime::ValueType>) {
  const nn::ActivationLayer::Options& settings = module_of<nn::ActivationLayer>(node).settings();
  return {.op = runtime::Activation{.function = settings.function, .slope = settings.slope}};
}

/// y_q = max(x_q, zero_point), as a table.
Lowered lower_activation_codes(const nn::Graph::Node&, std::span<const runtime::ValueType> inputs) {
  const std::int32_t zero_point = inputs[0].qparams->tensor().zero_point, qmax = inputs[0].qparams->codes.qmax;
  kernels::CodeTable table{};
  for (std::int32_t q = 0; q < 256; ++q) {
    table[static_cast<std::size_t>(q)] = static_cast<std::uint8_t>(std::clamp(q, zero_point, qmax));
  }
  return {.op = lookup_of(table)};
}

Lowered lower_table(const nn::Graph::Node& node, std::span<const runtime::ValueType> inputs) {
  auto& module = module_of<QatActivation>(node);
  return {.op = lookup_of(table_of(function_of(module.layer().settings()), inputs[0].qparams->tensor(),
                                   module.output().map(), module.output().codes())),
          .kind = "int8_activation",
          .how = "a table of 256 codes"};
}

}  // namespace

Kinds activation_kinds() {
  Kind in_float = kind_of_class<nn::ActivationLayer>();
  in_float.prepare = &prepare_activation;
  in_float.lower = &lower_activation;
  Kind relu = kind_of_class<CodeRelu>();
  relu.is_prepared = true;
  relu.keeps_map = true;
  relu.lower = &lower_activation_codes;
  Kind on_codes = kind_of_class<QatActivation>();
  on_codes.is_prepared = true;
  on_codes.lower = &lower_table;
  return {{"activation", in_float}, {"code_relu", relu}, {"qat_activation", on_codes}};
}

}  // namespace detent::quant
