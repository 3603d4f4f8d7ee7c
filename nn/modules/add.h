#pragma once

#include "detent/autograd/ops.h"
#include "detent/io/options.h"
#include "detent/nn/module.h"

namespace detent::nn {

/// y = a + b, of one shape: a residual connection. Then ReLU if `relu`.
class Add : public Module {
 public:
  struct Options {
    bool relu = false;  ///< set by fuse_relu: the ReLU that followed runs in this module's kernel
    void describe(OptionList& list);
  };
  Add() = default;
  explicit Add(Options options) : options_(options) {}

  const Options& settings() const { return options_; }

  std::string_view kind() const override { return "add"; }
  nlohmann::json options() const override;
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override;
  Variable forward(Context& context, std::span<const Variable> inputs) override;
  std::size_t arity() const override { return 2; }

 private:
  Options options_;
};

}  // namespace detent::nn
