#pragma once

#include <vector>

#include "detent/quant/kinds/product/integer_product.h"

/// The gradient of weights through their quantizer: the clip mask, and what is learned of their maps.
namespace detent::quant {

/// What weights of shape [O, ...] learn of their maps: the rule's numbers, map after map in the order of
/// QParams::scale, f32 [maps * learned()].
class LearnedWeightMaps {
 public:
  LearnedWeightMaps(const QuantizerSpec& spec, const Shape& weight);

  /// Of weights that are quantized as they are: a range rule's that is said, or those that the rule of the gradient
  /// begins with. Weights that are all zeros, which say nothing, begin with the mean of those of other maps, and where
  /// all are with the range [-1, 1].
  Tensor first_numbers(const Tensor& weight) const;
  /// The scales of the maps. Throws Error unless the numbers are those of as many maps, and finite.
  std::vector<float> scales(std::span<const float> numbers) const;

 private:
  QuantizerSpec spec_;
  std::shared_ptr<const GradientRule> rule_;
  Shape shape_;
  std::int64_t group_ = 0;  // input channels of a group; 0: a channel has one map
  std::int64_t maps_ = 1;
};

/// Whether codes of weights with such a quantizer may be clipped: not those of a range that is their own.
bool may_clip(const QuantizerSpec& spec);

/// What backward keeps to pass the gradient through a weight's quantizer.
struct WeightRounding {
  std::shared_ptr<const GradientRule> rule;
  Tensor weight;                    ///< f32, as it was quantized
  Tensor layer_weight;              ///< the layer's own, where the rule changes it; else undefined
  std::vector<float> learned = {};  ///< the numbers of the maps that the rule learns, as they were

  /// dw = dL/d(weight of codes), multiplied by factor[o] where that is not empty: becomes 0 where a code was clipped.
  /// Gives the gradients of `learned`, sums over output channels in their order; 0 of a map whose scale was raised for
  /// a bias.
  std::vector<float> run(Tensor& dw, const QParams& map, std::span<const float> factor) const;
  /// Takes the gradient through the rule's change of the layer's weights.
  void through_change(Tensor& dw) const;
};

}  // namespace detent::quant
