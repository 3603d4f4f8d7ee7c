#pragma once

#include "detent/autograd/ops.h"
#include "detent/io/options.h"
#include "detent/nn/module.h"

namespace detent::nn {

/// y = f(x), element by element: ReLU, ReLU6, leaky ReLU, sigmoid, tanh, GELU, hard-swish, SiLU, sign
/// (kernels/layers/activation.h).
class ActivationLayer : public Module {
 public:
  struct Options {
    kernels::Activation function = kernels::Activation::Relu;
    double slope = kernels::kLeakySlope;  ///< of leaky_relu
    std::string name = {};
    void describe(OptionList& list);
  };
  /// Throws Error for a slope that is not finite.
  explicit ActivationLayer(Options options);

  const Options& settings() const { return options_; }

  std::string_view kind() const override { return "activation"; }
  /// The function's name: "relu".
  std::string_view label() const override { return kernels::name_of(options_.function); }
  nlohmann::json options() const override;
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  Variable forward(Context& context, std::span<const Variable> inputs) override;

 private:
  Options options_;
};

}  // namespace detent::nn
