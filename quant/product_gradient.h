#pragma once

#include <optional>
#include <vector>

#include "quant/fold.h"
#include "quant/integer_product.h"

/// The backward pass of QatConv2d and QatLinear, and the batch statistics that it goes through.
namespace detent::quant {

/// Mean and variance of each channel of u = sum * unit, unit[o] = s_x * s_w[o] / factor[o]: what the layer would have
/// given without the batch norm's factor. Sums are integers, so the moments are taken from the exact result.
class SumStatistics {
 public:
  SumStatistics(const kernels::ConvShape& shape, const Tensor& sums, ScaleZero input, const QParams& weight,
                std::span<const float> factor, const FoldedBatchNorm& batch_norm);

  /// The normalized result is y = sum * slope[o] + intercept[o], slope > 0.
  /// Slopes as the scales of weights that an input with scale s_x would have: slope[o] / s_x.
  QParams slopes(ScaleZero input) const;
  std::span<const float> intercepts() const { return intercept_; }
  /// Moves the running statistics. `layer_bias` is part of the mean, though it cancels out of y.
  void update_running(FoldedBatchNorm& batch_norm, std::span<const float> layer_bias) const;

  std::int64_t count() const { return count_; }
  double mean_sum(std::size_t o) const { return mean_sum_[o]; }
  /// gamma / sqrt(variance of u + epsilon)
  double gain(std::size_t o) const { return gain_[o]; }
  /// The normalized u is (sum - mean_sum[o]) * normalizer[o].
  double normalizer(std::size_t o) const { return normalizer_[o]; }

 private:
  std::int64_t count_ = 0;
  std::vector<double> mean_sum_, mean_, variance_, gain_, normalizer_;
  std::vector<double> slope_;
  std::vector<float> intercept_;
};

/// A batch norm with frozen statistics: the layer ran with weight * factor and a folded bias.
struct FrozenFold {
  nn::BatchNorm* module;
  std::vector<float> factor;
  Tensor weight;  ///< the layer's own
  Tensor bias;    ///< the layer's own; may be undefined
};

/// A batch norm with the batch's statistics.
struct NormalizedSums {
  Tensor sums;  ///< s32
  SumStatistics statistics;
  std::vector<float> factor;
};

/// What backward keeps of a quantized product: codes (a quarter of the float memory) and one bit an element.
struct ProductGradient {
  kernels::ConvShape shape;
  DType dtype = DType::BF16;  ///< of the products
  Tensor x;                   ///< codes
  QuantizedWeight weight;
  SliceMask mask;
  std::optional<FrozenFold> fold = {};
  std::optional<NormalizedSums> normalized = {};

  /// Gives the gradients of the inputs x, weight, bias, gamma, beta, those that are wanted.
  void run(autograd::Backward& backward) const;
};

}  // namespace detent::quant
