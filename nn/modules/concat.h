#pragma once

#include "detent/autograd/ops.h"
#include "detent/io/options.h"
#include "detent/nn/module.h"

namespace detent::nn {

/// y = its inputs one behind the other along the last axis, the channels: all other axes are alike.
class Concat : public Module {
 public:
  struct Options {
    std::int64_t inputs = 2;
    std::string name = {};
    void describe(OptionList& list);
  };
  /// Throws Error for less than one input.
  explicit Concat(Options options);

  const Options& settings() const { return options_; }

  std::string_view kind() const override { return "concat"; }
  nlohmann::json options() const override;
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override;
  Variable forward(Context& context, std::span<const Variable> inputs) override;
  std::size_t arity() const override { return static_cast<std::size_t>(options_.inputs); }

 private:
  Options options_;
};

}  // namespace detent::nn
