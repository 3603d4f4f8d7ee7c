#pragma once

#include "detent/autograd/ops.h"
#include "detent/io/options.h"
#include "detent/nn/module.h"

namespace detent::nn {

/// What the pools over windows share. x [N, H, W, C] -> y [N, OH, OW, C],
///   OH = (H + top + bottom - KH) / stride + 1, rounded down, and OW likewise.
class Pool2d : public Module {
 public:
  struct Options {
    Extent2d kernel = 2;
    Extent2d stride = 0;    ///< 0: the kernel's size
    Padding2d padding = 0;  ///< at most half the kernel
    std::string name = {};
    void describe(OptionList& list);
  };
  /// Throws Error for an option out of range.
  explicit Pool2d(Options options);

  const Options& settings() const { return options_; }  ///< stride is set
  /// For `batch` examples of shape [H, W, C]. Throws Error if the window does not fit.
  kernels::PoolShape pool_shape(const Shape& example, std::int64_t batch) const;

  nlohmann::json options() const override;
  Shape output_shape(std::span<const Shape> inputs) const override;

 protected:
  autograd::Pool2dOptions op_options() const;

 private:
  Options options_;
};

/// The largest value of each window; padding never wins.
class MaxPool2d : public Pool2d {
 public:
  using Pool2d::Pool2d;
  std::string_view kind() const override { return "max_pool2d"; }
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override;
  Variable forward(Context& context, std::span<const Variable> inputs) override;
};

/// The mean of each window; padding counts as zeros.
class AvgPool2d : public Pool2d {
 public:
  using Pool2d::Pool2d;
  std::string_view kind() const override { return "avg_pool2d"; }
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  Variable forward(Context& context, std::span<const Variable> inputs) override;
};

/// The mean of each channel. x [N, H, W, C] -> y [N, C].
class GlobalAvgPool2d : public Module {
 public:
  std::string_view kind() const override { return "global_avg_pool2d"; }
  nlohmann::json options() const override;
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  Shape output_shape(std::span<const Shape> inputs) const override;
  Variable forward(Context& context, std::span<const Variable> inputs) override;
};

}  // namespace detent::nn
