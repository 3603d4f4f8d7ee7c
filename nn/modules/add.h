#pragma once

#include "detent/autograd/ops.h"
#include "detent/nn/module.h"

namespace detent::nn {

/// y = a + b, of one shape: a residual connection.
class Add : public Module {
 public:
  std::string_view kind() const override { return "add"; }
  nlohmann::json options() const override;
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override;
  Variable forward(Context& context, std::span<const Variable> inputs) override;
  std::size_t arity() const override { return 2; }
};

}  // namespace detent::nn
