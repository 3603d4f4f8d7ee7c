#pragma once

#include "detent/nn/modules/pool2d.h"
#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/kinds/quantized_ops.h"

/// The modules of a prepared graph that have no weights. While calibrating, values are real and they compute in float.
namespace detent::quant {

/// Real numbers in, codes out: the input of the model, and the way back from a module that stayed in float.
class Quantize : public nn::Module, public QuantizedOutput {
 public:
  Quantize(const ActivationQuantizer& config, FakeQuant::State state, RangeUse range = RangeUse::Previous)
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

/// The sum of two tensors of codes, then ReLU if `relu`.
class QatAdd : public nn::Module, public QuantizedOutput {
 public:
  QatAdd(const ActivationQuantizer& config, FakeQuant::State state, bool relu, RangeUse range = RangeUse::Previous)
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

/// The geometry of an average: over windows, or, with kernel 0, over the whole image.
struct AverageGeometry {
  Extent2d kernel = 0;
  Extent2d stride = 0;
  Padding2d padding = 0;

  kernels::PoolShape pool_shape(const Shape& example, std::int64_t batch) const;
  Shape output_shape(const Shape& example) const;
  void describe(OptionList& list);
  nlohmann::json to_json() const;
  static AverageGeometry from_json(const nlohmann::json& json);
};

/// The mean of codes over windows or over the whole image.
class QatAvgPool2d : public nn::Module, public QuantizedOutput {
 public:
  QatAvgPool2d(const AverageGeometry& geometry, const ActivationQuantizer& config, FakeQuant::State state,
               RangeUse range = RangeUse::Previous)
      : geometry_(geometry), output_(config, state), range_(range) {}
  FakeQuant& output() override { return output_; }
  const AverageGeometry& geometry() const { return geometry_; }

  std::string_view kind() const override { return "qat_avg_pool2d"; }
  nlohmann::json options() const override;
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return geometry_.output_shape(inputs[0]); }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
  std::vector<nn::Slot> slots() override { return output_.slots(); }
  void loaded() override { output_.check_loaded(); }

 private:
  AverageGeometry geometry_;
  FakeQuant output_;
  RangeUse range_;
};

/// ReLU of codes whose module could not take it in: exact, on the same map. Prepared and int8 graphs share it.
class CodeRelu : public nn::Module {
 public:
  std::string_view kind() const override { return "code_relu"; }
  nlohmann::json options() const override;
  static std::shared_ptr<nn::Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override;
};

/// Dropout of codes. Convert drops it.
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

}  // namespace detent::quant
