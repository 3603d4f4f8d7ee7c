#pragma once

#include "detent/autograd/ops.h"
#include "detent/io/options.h"
#include "detent/nn/module.h"

namespace detent::nn {

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, over all axes but the last: [N, C] as [N, H, W, C]; then
/// ReLU if `relu`.
/// In training mean and variance are the batch's, and the running ones move to them; else, and once it is frozen, they
/// are the running ones.
/// Ioffe, Szegedy 2015.
class BatchNorm : public Module {
 public:
  struct Options {
    double momentum = 0.1;  ///< running = (1 - momentum) * running + momentum * batch
    double epsilon = 1e-5;
    bool affine = true;         ///< whether there are weight (gamma) and bias (beta)
    bool frozen = false;        ///< whether the running mean and variance are used, and stay, in training too
    bool relu = false;          ///< set by fuse_relu: the ReLU that followed runs in this module's kernel
    std::int64_t channels = 0;  ///< 0: taken from the input when it is added to a graph
    std::string name = {};
    void describe(OptionList& list);
  };
  /// Throws Error for an option out of range.
  explicit BatchNorm(Options options);

  const Options& settings() const { return options_; }
  void freeze() { options_.frozen = true; }
  Parameter& weight() { return weight_; }  ///< gamma; value undefined without `affine`
  Parameter& bias() { return bias_; }      ///< beta; likewise
  Tensor& running_mean() { return running_mean_; }
  Tensor& running_variance() { return running_variance_; }

  std::string_view kind() const override { return "batch_norm"; }
  nlohmann::json options() const override;
  static std::shared_ptr<Module> from_options(const nlohmann::json& options);
  void bind(std::span<const Shape> inputs) override;
  Shape output_shape(std::span<const Shape> inputs) const override;
  Variable forward(Context& context, std::span<const Variable> inputs) override;
  std::vector<Slot> slots() override;
  /// weight 1, bias 0, running mean 0, running variance 1.
  void initialize(RandomStream& random) override;

 private:
  Options options_;
  Parameter weight_{.decay = false};
  Parameter bias_{.decay = false};
  Tensor running_mean_;
  Tensor running_variance_;
};

}  // namespace detent::nn
