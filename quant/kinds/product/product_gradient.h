#pragma once

#include <optional>
#include <vector>

#include "detent/quant/kinds/product/sum_statistics.h"
#include "detent/quant/kinds/product/weight_rounding.h"

/// The backward pass of QatConv2d and QatLinear.
namespace detent::quant {

/// A batch norm with frozen statistics: the layer ran with weight * factor and a folded bias.
struct FrozenFold {
  FrozenFold(const FoldedBatchNorm& batch_norm, std::vector<float> factor_at_forward, Tensor layer_weight,
             Tensor layer_bias);
  std::vector<float> factor;
  std::vector<double> mean, deviation;  ///< as they were: sqrt(running variance + epsilon)
  Tensor weight;                        ///< the layer's own
  Tensor bias;                          ///< the layer's own; may be undefined
};

/// A batch norm with the batch's statistics.
struct NormalizedSums {
  SumStatistics statistics;
  std::vector<float> factor;
  // One of them: in 8 bits where bf16 gradients are asked for, else made again.
  std::optional<NarrowSums> narrow;
  std::optional<ProductSums> exact;
};

/// What backward keeps of a quantized product: codes (a quarter of the float memory) and one bit an element.
struct ProductGradient {
  kernels::ConvShape shape;
  DType dtype = DType::BF16;  ///< of the products
  Tensor x;                   ///< codes
  QuantizedWeight weight;
  SliceMask mask;
  std::optional<WeightRounding> rounding = {};
  std::optional<FrozenFold> fold = {};
  std::optional<NormalizedSums> normalized = {};

  /// Gives the gradients of the inputs x, weight, bias, gamma, beta and learned maps of the weights, those that are
  /// wanted.
  void run(autograd::Backward& backward) const;

 private:
  /// The same from `dy`, or where it is undefined from the gradient of the result.
  void run(autograd::Backward& backward, Tensor dy) const;
};

}  // namespace detent::quant
