#pragma once

#include "detent/autograd/ops.h"
#include "detent/io/options.h"
#include "detent/nn/module.h"

namespace detent::nn {

/// In training each element is 0 with probability p and scaled by 1 / (1 - p) otherwise; else y = x.
/// The mask is a function of the context's seed and step and of the node's name alone.
class Dropout : public Module {
 public:
  struct Options {
    double p = 0.5;  ///< 0 <= p < 1
    std::string name = {};
    void describe(OptionList& list);
  };
  /// Throws Error for p out of range.
  explicit Dropout(Options options);

  const Options& settings() const { return options_; }

  std::string_view kind() const override { return "dropout"; }
  nlohmann::json options() const override;
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  Variable forward(Context& context, std::span<const Variable> inputs) override;

 private:
  Options options_;
};

}  // namespace detent::nn
