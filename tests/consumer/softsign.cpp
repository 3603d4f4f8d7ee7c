// A module of one's own, in float and on codes: how it is made from a file, prepared, trained on codes, and lowered to
// what ships.
#include "softsign.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <vector>

#include "detent/io/option_reader.h"
#include "detent/quant/kinds/observed_output.h"
#include "detent/quant/kinds/ops/function_of_codes.h"
#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/passes/preparation.h"
#include "parts.h"

namespace consumer {

using namespace detent;

nlohmann::json Softsign::options() const { return nlohmann::json::object(); }

std::shared_ptr<nn::Module> Softsign::from_options(const nlohmann::json& options) {
  OptionReader("softsign", options).finish();
  return std::make_shared<Softsign>();
}

nn::Variable Softsign::forward(nn::Context&, std::span<const nn::Variable> inputs) {
  const Tensor x = inputs[0].value();
  Tensor y = inputs[0].tape().empty(x.shape());
  for (std::size_t i = 0; i < x.data<float>().size(); ++i) {
    y.data<float>()[i] = x.data<float>()[i] / (1.0F + std::abs(x.data<float>()[i]));
  }
  // dx = dy / (1 + |x|)^2
  return inputs[0].tape().record("softsign", y, {inputs[0]}, [x](autograd::Backward& backward) {
    backward.grad(0, [&] {
      Tensor dx = backward.dy().as(DType::F32, backward.arena()).clone(backward.arena());
      for (std::size_t i = 0; i < x.data<float>().size(); ++i) {
        const float d = 1.0F + std::abs(x.data<float>()[i]);
        dx.data<float>()[i] /= d * d;
      }
      return dx;
    });
  });
}

namespace {

void softsign(std::span<const double> x, std::span<double> y, std::span<double> derivative) {
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double d = 1.0 + std::abs(x[i]);
    y[i] = x[i] / d;
    if (!derivative.empty()) {
      derivative[i] = 1.0 / (d * d);
    }
  }
}

// Softsign of codes: a table of 256 codes.
class QatSoftsign : public nn::Module, public quant::QuantizedOutput {
 public:
  QatSoftsign(const quant::QuantizerSpec& config, quant::FakeQuant::State state, quant::RangeUse range)
      : output_(config, state), range_(range) {}
  quant::FakeQuant& output() override { return output_; }
  std::string_view kind() const override { return "qat_softsign"; }
  nlohmann::json options() const override { return quant::output_options(output_, range_); }
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json& options) {
    nlohmann::json rest = options;
    const quant::OutputOptions read = quant::take_output_options(rest, "qat_softsign");
    OptionReader("qat_softsign", rest).finish();
    return std::make_shared<QatSoftsign>(read.activation.config, read.activation.state, read.range);
  }
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override {
    const nn::Variable& x = inputs[0];
    if (output_.is_calibrating()) {
      return quant::calibrated(output_, Softsign().forward(context, inputs));
    }
    return quant::observe_and_make(
        context, *this, output_, range_, x.shape()[0],
        [&](const auto& map, MinMax* seen) { return quant::function_of_codes("softsign", x, &softsign, map, seen); },
        [&] { return Softsign().forward(context, std::vector{quant::dequantize_op(x)}).value(); });
  }
  std::vector<nn::Slot> slots() override { return output_.slots(); }
  void loaded() override { output_.check_loaded(); }

 private:
  quant::FakeQuant output_;
  quant::RangeUse range_;
};

}  // namespace

void add_softsign(quant::Kinds& kinds) {
  quant::Kind in_float = quant::kind_of_class<Softsign>();
  in_float.prepare = [](quant::Preparation& pass, std::size_t node, const quant::QConfig& config) {
    pass.add({node}, std::make_shared<QatSoftsign>(config.activation, pass.state(), config.range),
             {pass.codes_of(pass.node(node).inputs[0], config)}, true);
  };
  quant::Kind on_codes = quant::kind_of_class<QatSoftsign>();
  on_codes.is_prepared = true;
  on_codes.lower = [](const nn::Graph::Node& node, std::span<const runtime::ValueType> inputs) {
    quant::FakeQuant& output = quant::module_of<QatSoftsign>(node).output();
    return quant::Lowered{
        .op = quant::lookup_of(quant::table_of(&softsign, inputs[0].qparams->tensor(), output.map(), output.codes())),
        .how = "a table of 256 codes"};
  };
  kinds.emplace("softsign", in_float);
  kinds.emplace("qat_softsign", on_codes);
}

}  // namespace consumer
