#pragma once

#include <span>
#include <vector>

#include "detent/quant/kinds/product/folded_batch_norm.h"
#include "detent/quant/kinds/product/product_sums.h"

namespace detent::quant {

/// Mean and variance of each channel of u = sum * unit, unit[o] = s_x * s_w[o] / factor[o]: what the layer would have
/// given without the batch norm's factor. Sums are integers, so the moments are taken from the exact result.
class SumStatistics {
 public:
  /// Of sums that are visited here for the first time.
  SumStatistics(ProductSums& sums, ScaleZero input, std::span<const float> factor, const FoldedBatchNorm& batch_norm,
                Arena* arena);

  /// The normalized result is y = sum * slope[o] + intercept[o], slope > 0 and at least |intercept| * 2^-60.
  /// Slopes as the scales of weights that an input with scale s_x would have: slope[o] / s_x.
  QParams slopes(ScaleZero input) const;
  std::span<const float> intercepts() const { return intercept_; }
  /// Moves the running statistics. `layer_bias` is part of the mean, though it cancels out of y.
  void update_running(FoldedBatchNorm& batch_norm, std::span<const float> layer_bias) const;

  /// Of the sums themselves.
  std::span<const kernels::SumMoments> moments() const { return moments_; }
  std::int64_t count() const { return count_; }
  double mean_sum(std::size_t o) const { return mean_sum_[o]; }
  /// gamma / sqrt(variance of u + epsilon)
  double gain(std::size_t o) const { return gain_[o]; }
  /// The normalized u is (sum - mean_sum[o]) * normalizer[o].
  double normalizer(std::size_t o) const { return normalizer_[o]; }

 private:
  std::int64_t count_ = 0;
  std::vector<kernels::SumMoments> moments_;
  std::vector<double> mean_sum_, mean_, variance_, gain_, normalizer_;
  std::vector<double> slope_;
  std::vector<float> intercept_;
};

}  // namespace detent::quant
