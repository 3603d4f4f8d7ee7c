#pragma once

#include <memory>
#include <vector>

#include "detent/nn/modules/batch_norm.h"

namespace detent::quant {

/// A batch norm that was fused into the convolution or linear layer before it (Krishnamoorthi 2018, section 3.2.2).
///
/// With factor[o] = gamma[o] / sqrt(running_variance[o] + epsilon) the layer's weights are quantized as w * factor, so
/// that the training weights are quantized as they will ship. While the statistics are not frozen, the sums are
/// normalized with the batch's statistics, taken from the integer sums themselves; once frozen, the batch norm is the
/// folded weights and bias alone.
class FoldedBatchNorm {
 public:
  FoldedBatchNorm(std::shared_ptr<nn::BatchNorm> module, bool is_frozen)
      : module_(std::move(module)), is_frozen_(is_frozen) {}

  nn::BatchNorm& module() const { return *module_; }
  bool is_frozen() const { return is_frozen_; }
  void freeze() { is_frozen_ = true; }
  /// As nn::BatchNorm::gather.
  void gather(nn::BatchStatistics* statistics) { gathered_ = statistics; }
  /// Whether a forward pass normalizes with the batch's statistics.
  bool uses_batch_statistics(bool training) const { return gathered_ != nullptr || (training && !is_frozen_); }

  /// gamma / sqrt(running_variance + epsilon), a value a channel.
  std::vector<float> factor() const;
  /// The same, kept away from 0, so that a channel with gamma 0 goes on learning: what training with batch statistics
  /// multiplies the weights with, and divides out again.
  std::vector<float> training_factor() const;
  /// beta + (bias - running_mean) * factor. `bias` is the layer's, or empty.
  std::vector<float> bias(std::span<const float> layer_bias) const;

  float gamma(std::size_t channel) const;
  float beta(std::size_t channel) const;
  double mean(std::size_t channel) const;       ///< the running one
  double deviation(std::size_t channel) const;  ///< sqrt(running_variance + epsilon)
  /// running = (1 - momentum) * running + momentum * batch, with the unbiased variance of `count` values; or gathers.
  void update(std::span<const double> mean, std::span<const double> variance, std::int64_t count);

 private:
  std::shared_ptr<nn::BatchNorm> module_;
  bool is_frozen_;
  nn::BatchStatistics* gathered_ = nullptr;
};

}  // namespace detent::quant
