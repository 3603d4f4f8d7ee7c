#pragma once

#include "detent/autograd/ops.h"
#include "detent/nn/module.h"

namespace detent::nn {

/// y[c] = exp(x[c]) / sum over k of exp(x[k]) over the last axis, the channels: probabilities. Cross-entropy has a
/// softmax of its own, and is to be given the values in front of this one.
class Softmax : public Module {
 public:
  std::string_view kind() const override { return "softmax"; }
  nlohmann::json options() const override;
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  /// Throws Error for a scalar, which has no channels.
  Shape output_shape(std::span<const Shape> inputs) const override;
  Variable forward(Context& context, std::span<const Variable> inputs) override;
};

}  // namespace detent::nn
