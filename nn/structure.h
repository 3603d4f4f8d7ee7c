#pragma once

#include "autograd/ops.h"
#include "nn/module.h"

/// Modules without weights that shape the way of the values: Dropout, Flatten, Add.
namespace detent::nn {

/// In training each element is 0 with probability p and scaled by 1 / (1 - p) otherwise; else y = x.
/// The mask is a function of the context's seed and step and of the node's name alone.
class Dropout : public Module {
 public:
  struct Options {
    double p = 0.5;  ///< 0 <= p < 1
    std::string name = {};
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

/// [N, ...] -> [N, rest]. Images are flattened as they lie: H W C, the channel fastest.
class Flatten : public Module {
 public:
  std::string_view kind() const override { return "flatten"; }
  nlohmann::json options() const override;
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override { return {inputs[0].elements()}; }
  Variable forward(Context& context, std::span<const Variable> inputs) override;
};

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
