#include "detent/nn/modules/concat.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/quant/kinds/observed_output.h"
#include "detent/quant/kinds/ops/function_of_codes.h"
#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/kinds/rows.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {
namespace {

using nlohmann::json;

/// Codes of any maps one behind the other, all on one map: each input through a table of 256 codes.
class QatConcat : public nn::Module, public QuantizedOutput {
 public:
  QatConcat(std::int64_t inputs, const QuantizerSpec& config, FakeQuant::State state, RangeUse range)
      : layer_({.inputs = inputs}), output_(config, state), range_(range) {}
  FakeQuant& output() override { return output_; }

  std::string_view kind() const override { return "qat_concat"; }
  json options() const override;
  static std::shared_ptr<nn::Module> from_options(const json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return layer_.output_shape(inputs); }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
  std::vector<nn::Slot> slots() override { return output_.slots(); }
  void loaded() override { output_.check_loaded(); }
  std::size_t arity() const override { return layer_.arity(); }

 private:
  nn::Concat layer_;
  FakeQuant output_;
  RangeUse range_;
};

json QatConcat::options() const {
  json options = output_options(output_, range_);
  options["layer"] = layer_.options();
  return options;
}

std::shared_ptr<nn::Module> QatConcat::from_options(const json& options) {
  json rest = options;
  const OutputOptions read = take_output_options(rest, "qat_concat");
  const auto layer = read_options<nn::Concat::Options>("concat", object_at(options, "layer", "qat_concat"));
  rest.erase("layer");
  OptionReader("qat_concat", rest).finish();
  return std::make_shared<QatConcat>(layer.inputs, read.activation.config, read.activation.state, read.range);
}

/// f(x) = x: what takes codes from one map to another.
void identity(std::span<const double> x, std::span<double> y, std::span<double> derivative) {
  std::ranges::copy(x, y.begin());
  std::ranges::fill(derivative, 1.0);
}

nn::Variable QatConcat::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  if (output_.is_calibrating()) {
    return calibrated(output_, layer_.forward(context, inputs));
  }
  std::vector<Tensor> codes;
  std::ranges::transform(inputs, std::back_inserter(codes), &nn::Variable::value);
  return observe_make_and_learn(
      context, *this, output_, range_, inputs[0].shape()[0],
      [&](const std::shared_ptr<const QParams>& map, MinMax* seen) {
        std::vector<nn::Variable> on_one_map;
        for (const nn::Variable& x : inputs) {
          on_one_map.push_back(function_of_codes("concat", x, &identity, map, seen));
        }
        return autograd::concat(on_one_map);
      },
      [codes = std::move(codes), arena = context.tape.arena()] {
        return on_inference_tape(arena, [&](nn::Tape& tape) {
          std::vector<nn::Variable> reals;
          for (const Tensor& x : codes) {
            reals.push_back(dequantize_op(tape.constant(x)));
          }
          return autograd::concat(reals);
        });
      });
}

void prepare_concat(Preparation& pass, std::size_t index, const QConfig& config) {
  std::vector<nn::Graph::Handle> inputs;
  for (const nn::Graph::Handle input : pass.node(index).inputs) {
    inputs.push_back(pass.codes_of(input, config));
  }
  const auto count = static_cast<std::int64_t>(inputs.size());
  pass.add({index}, std::make_shared<QatConcat>(count, config.activation, pass.state(), config.range),
           std::move(inputs), true);
}

Lowered lower_concat(const nn::Graph::Node&, std::span<const runtime::ValueType>) { return {.op = runtime::Concat()}; }

Lowered lower_concat_codes(const nn::Graph::Node&, std::span<const runtime::ValueType>) {
  return {.op = runtime::Concat(), .kind = "int8_concat", .how = "brought to one map"};
}

}  // namespace

Kinds concat_kinds() {
  Kind in_float = kind_of_class<nn::Concat>();
  in_float.prepare = &prepare_concat;
  in_float.lower = &lower_concat;
  Kind on_codes = kind_of_class<QatConcat>();
  on_codes.is_prepared = true;
  on_codes.lower = &lower_concat_codes;
  return {{"concat", in_float}, {"qat_concat", on_codes}};
}

}  // namespace detent::quant
