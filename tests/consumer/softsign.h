#pragma once

#include "detent/nn/module.h"

namespace consumer {

/// y = x / (1 + |x|)
class Softsign : public detent::nn::Module {
 public:
  std::string_view kind() const override { return "softsign"; }
  nlohmann::json options() const override;
  static std::shared_ptr<detent::nn::Module> from_options(const nlohmann::json& options);
  detent::Shape output_shape(std::span<const detent::Shape> inputs) const override { return inputs[0]; }
  detent::nn::Variable forward(detent::nn::Context& context, std::span<const detent::nn::Variable> inputs) override;
};

}  // namespace consumer
