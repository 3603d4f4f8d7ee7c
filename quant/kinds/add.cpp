#include "detent/quant/kinds/add.h"

#include "detent/autograd/ops.h"
#include "detent/quant/kinds/observed_output.h"
#include "detent/quant/kinds/rows.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {

using nlohmann::json;

json QatAdd::options() const {
  json options = output_options(output_, range_);
  options["relu"] = relu_;
  return options;
}

std::shared_ptr<nn::Module> QatAdd::from_options(const json& options) {
  json rest = options;
  const OutputOptions read = take_output_options(rest, "qat_add");
  OptionReader reader("qat_add", rest);
  const bool relu = reader.boolean("relu", false);
  reader.finish();
  return std::make_shared<QatAdd>(read.activation.config, read.activation.state, relu, read.range);
}

Shape QatAdd::output_shape(std::span<const Shape> inputs) const {
  check(inputs[0] == inputs[1], "add: expected two inputs of one shape, got ", inputs[0], " and ", inputs[1]);
  return inputs[0];
}

nn::Variable QatAdd::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  const auto real_sum = [relu = relu_](const Variable& a, const Variable& b) {
    const Variable sum = autograd::add(a, b);
    return relu ? autograd::relu(sum) : sum;
  };
  if (output_.is_calibrating()) {
    return calibrated(output_, real_sum(inputs[0], inputs[1]));
  }
  const auto reals = [real_sum, a = inputs[0].value(), b = inputs[1].value(), arena = context.tape.arena()] {
    return on_inference_tape(arena, [&](nn::Tape& tape) {
      return real_sum(dequantize_op(tape.constant(a)), dequantize_op(tape.constant(b)));
    });
  };
  return observe_make_and_learn(
      context, *this, output_, range_, inputs[0].shape()[0],
      [&](const std::shared_ptr<const QParams>& map, MinMax* seen) {
        return add_codes(inputs[0], inputs[1], map, relu_, seen);
      },
      reals);
}

namespace {

void prepare_add(Preparation& pass, std::size_t index, const QConfig& config) {
  const std::optional<nn::Graph::Handle> relu = pass.fusion(index).relu;
  const bool does_relu = module_of<nn::Add>(pass.node(index)).settings().relu;
  const std::vector<nn::Graph::Handle>& inputs = pass.node(index).inputs;
  pass.add(relu ? std::vector{index, relu->index} : std::vector{index},
           std::make_shared<QatAdd>(config.activation, pass.state(), relu.has_value() || does_relu, config.range),
           {pass.codes_of(inputs[0], config), pass.codes_of(inputs[1], config)}, true);
}

Lowered lower_add(const nn::Graph::Node& node, std::span<const runtime::ValueType>) {
  return {.op = runtime::Add{.relu = module_of<nn::Add>(node).settings().relu}};
}

Lowered lower_add_codes(const nn::Graph::Node& node, std::span<const runtime::ValueType>) {
  const bool relu = module_of<QatAdd>(node).relu();
  return {.op = runtime::Add{.relu = relu},
          .kind = "int8_add",
          .how = relu ? "requantized sum, relu fused" : "requantized sum"};
}

}  // namespace

Kinds add_kinds() {
  Kind in_float = kind_of_class<nn::Add>();
  in_float.prepare = &prepare_add;
  in_float.lower = &lower_add;
  Kind on_codes = kind_of_class<QatAdd>();
  on_codes.is_prepared = true;
  on_codes.lower = &lower_add_codes;
  return {{"add", in_float}, {"qat_add", on_codes}};
}

}  // namespace detent::quant
