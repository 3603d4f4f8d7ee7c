#include "detent/nn/modules/dropout.h"

#include <nlohmann/json.hpp>

#include "detent/io/option_reader.h"
#include "detent/quant/kinds/ops/quantized_ops.h"
#include "detent/quant/kinds/rows.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {
namespace {

using nlohmann::json;

/// Dropout of codes.
class CodeDropout : public nn::Module {
 public:
  explicit CodeDropout(double p) : p_(p) {}
  std::string_view kind() const override { return "code_dropout"; }
  nlohmann::json options() const override;
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;

 private:
  double p_;
};

json CodeDropout::options() const { return {{"p", p_}}; }

std::shared_ptr<nn::Module> CodeDropout::from_options(const json& options) {
  OptionReader reader("code_dropout", options);
  const double p = reader.real("p", 0.5);
  reader.finish();
  check(p >= 0.0 && p < 1.0, "code_dropout: p: expected 0 <= p < 1, got ", p);
  return std::make_shared<CodeDropout>(p);
}

nn::Variable CodeDropout::forward(nn::Context& context, std::span<const nn::Variable> inputs) {
  if (!context.training || p_ == 0.0 || !inputs[0].value().qparams()) {
    return inputs[0];
  }
  return dropout_codes(inputs[0], p_, nn::random_of(context, *this, "dropout"));
}

void prepare_dropout(Preparation& pass, std::size_t index, const QConfig& config) {
  const double p = module_of<nn::Dropout>(pass.node(index)).settings().p;
  prepare_on_codes(pass, index, config, std::make_shared<CodeDropout>(p));
}

}  // namespace

Kinds dropout_kinds() {
  using Inputs = std::span<const runtime::ValueType>;
  Kind in_float = kind_of_class<nn::Dropout>();
  in_float.prepare = &prepare_dropout;
  in_float.lower = [](const nn::Graph::Node&, Inputs) { return Lowered{.op = runtime::Reshape()}; };
  Kind on_codes = kind_of_class<CodeDropout>();
  on_codes.is_prepared = true;
  on_codes.keeps_map = true;
  on_codes.lower = [](const nn::Graph::Node&, Inputs) { return Lowered(); };
  return {{"dropout", in_float}, {"code_dropout", on_codes}};
}

}  // namespace detent::quant
