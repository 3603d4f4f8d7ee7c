#pragma once

#include "detent/autograd/ops.h"
#include "detent/io/options.h"
#include "detent/nn/init.h"
#include "detent/nn/module.h"

namespace detent::nn {

/// y = x * weight + bias, then ReLU if `relu`. x [N, H, W, C]; weight [O, KH, KW, C / groups]; bias [O]; y [N, OH, OW,
/// O],
///   OH = (H + top + bottom - dilation (KH - 1) - 1) / stride + 1, rounded down, and OW likewise.
class Conv2d : public Module {
 public:
  struct Options {
    std::int64_t out_channels = 0;  ///< must be set
    Extent2d kernel = 3;
    Extent2d stride = 1;
    Padding2d padding = 0;
    Extent2d dilation = 1;
    std::int64_t groups = 1;
    bool bias = true;
    Init init = Init::Default;
    bool relu = false;             ///< set by fuse_relu: the ReLU that followed runs in this module's kernel
    std::int64_t in_channels = 0;  ///< 0: taken from the input when it is added to a graph
    std::string name = {};
    void describe(OptionList& list);
  };
  /// Weights are allocated by initialize or by loading. Throws Error for an option out of range.
  explicit Conv2d(Options options);

  const Options& settings() const { return options_; }
  Parameter& weight() { return weight_; }
  Parameter& bias() { return bias_; }  ///< value undefined if there is none
  /// For `batch` examples of shape [H, W, C]. Throws Error if the kernel does not fit.
  kernels::ConvShape conv_shape(const Shape& example, std::int64_t batch) const;

  std::string_view kind() const override { return "conv2d"; }
  nlohmann::json options() const override;
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  void bind(std::span<const Shape> inputs) override;
  Shape output_shape(std::span<const Shape> inputs) const override;
  Variable forward(Context& context, std::span<const Variable> inputs) override;
  std::vector<Slot> slots() override;
  void initialize(RandomStream& random) override;
  std::int64_t multiply_adds(std::span<const Shape> inputs) const override;

 private:
  Shape weight_shape() const;
  Options options_;
  Parameter weight_;
  Parameter bias_{.decay = false};
};

}  // namespace detent::nn
