#pragma once

#include "detent/autograd/ops.h"
#include "detent/nn/module.h"

namespace detent::nn {

/// [N, ...] -> [N, rest]. Images are flattened as they lie: H W C, the channel fastest.
class Flatten : public Module {
 public:
  std::string_view kind() const override { return "flatten"; }
  nlohmann::json options() const override;
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return {inputs[0].elements()}; }
  Variable forward(Context& context, std::span<const Variable> inputs) override;
};

}  // namespace detent::nn
