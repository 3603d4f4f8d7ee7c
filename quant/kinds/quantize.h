#pragma once

#include "detent/quant/kinds/qat_product.h"

namespace detent::quant {

/// Real numbers in, codes out: the input of the model, and the way back from a module that stayed in float. While
/// calibrating, real numbers are handed on.
class Quantize : public nn::Module, public QuantizedOutput {
 public:
  Quantize(const QuantizerSpec& config, FakeQuant::State state, RangeUse range = RangeUse::Previous)
      : output_(config, state), range_(range) {}
  FakeQuant& output() override { return output_; }

  std::string_view kind() const override { return "quantize"; }
  nlohmann::json options() const override;
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
  std::vector<nn::Slot> slots() override { return output_.slots(); }
  void loaded() override { output_.check_loaded(); }

 private:
  FakeQuant output_;
  RangeUse range_;
};

/// Codes in, real numbers out: y = scale * (q - zero_point).
class Dequantize : public nn::Module {
 public:
  std::string_view kind() const override { return "dequantize"; }
  nlohmann::json options() const override;
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
};

}  // namespace detent::quant
