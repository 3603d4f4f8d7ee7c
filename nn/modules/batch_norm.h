#pragma once

#include <vector>

#include "detent/autograd/ops.h"
#include "detent/io/options.h"
#include "detent/nn/module.h"

namespace detent::nn {

/// The statistics of several batches as one: the mean of all their values, and their pooled variance
/// sum (n_b - 1) s_b^2 / sum (n_b - 1), of batches b of n_b values a channel with unbiased variances s_b^2. Of batches
/// of one size these are the averages of their means and of their variances.
class BatchStatistics {
 public:
  /// A batch of `count` >= 2 values a channel, with its mean and unbiased variance; as many channels as before.
  void add(std::span<const double> mean, std::span<const double> variance, std::int64_t count);
  bool empty() const { return values_ == 0.0; }
  /// A value a channel. REQUIRES: not empty.
  std::vector<float> mean() const;
  std::vector<float> variance() const;

 private:
  double values_ = 0.0;   // sum n_b
  double freedom_ = 0.0;  // sum (n_b - 1)
  std::vector<double> sums_, squares_;
};

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias, over all axes but the last: [N, C] as [N, H, W, C]; then
/// ReLU if `relu`.
/// In training mean and variance are the batch's, and the running ones move to them; else, and once it is frozen, they
/// are the running ones.
/// Ioffe, Szegedy 2015.
class BatchNorm : public Module {
 public:
  struct Options {
    /// running = (1 - momentum) * running + momentum * batch; 0: constants, which no re-estimation changes either
    double momentum = 0.1;
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
  /// From now on each forward pass, in inference and frozen too, normalizes with the batch's statistics and adds them
  /// to `statistics`, instead of moving the running ones. Null: no longer. REQUIRES: `statistics` lives until then.
  void gather(BatchStatistics* statistics) { gathered_ = statistics; }
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
  Variable forward_gathered(const Variable& x, const Variable& weight, const Variable& bias);

  Options options_;
  Parameter weight_{.decay = false};
  Parameter bias_{.decay = false};
  Tensor running_mean_;
  Tensor running_variance_;
  BatchStatistics* gathered_ = nullptr;
};

}  // namespace detent::nn
