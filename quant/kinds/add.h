#pragma once

#include "detent/quant/kinds/qat_product.h"

namespace detent::quant {

/// The sum of two tensors of codes, then ReLU if `relu`. While calibrating, of real numbers.
class QatAdd : public nn::Module, public QuantizedOutput {
 public:
  QatAdd(const QuantizerSpec& config, FakeQuant::State state, bool relu, RangeUse range = RangeUse::Previous)
      : output_(config, state), relu_(relu), range_(range) {}
  FakeQuant& output() override { return output_; }
  bool relu() const { return relu_; }

  std::string_view kind() const override { return "qat_add"; }
  nlohmann::json options() const override;
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override;
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
  std::vector<nn::Slot> slots() override { return output_.slots(); }
  void loaded() override { output_.check_loaded(); }
  std::size_t arity() const override { return 2; }

 private:
  FakeQuant output_;
  bool relu_;
  RangeUse range_;
};

}  // namespace detent::quant
