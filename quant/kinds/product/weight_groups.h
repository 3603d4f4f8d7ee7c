#pragma once

#include <algorithm>

#include "detent/quant/kinds/product/integer_product.h"

/// Weights that have a scale a group of input channels (PerGroup), in the forward and backward pass of products: the
/// functions of integer_product.h for them.
namespace detent::quant {

/// The weights [O, ..., I] of one output channel, group by group of input channels.
class WeightGroups {
 public:
  WeightGroups(const Shape& weight, std::int64_t size) : channels_(weight[weight.rank() - 1]), size_(size) {
    rows_ = weight.row_elements() / channels_;
  }
  /// One group, of all of the channel.
  explicit WeightGroups(const Shape& weight) : WeightGroups(weight, weight[weight.rank() - 1]) {}
  std::int64_t count() const { return groups_of(channels_, size_); }
  /// Calls visit(k) for the elements k of the channel that are in the group, in their order.
  template <typename Visit>
  void for_each(std::int64_t group, Visit&& visit) const {
    for (std::int64_t row = 0; row < rows_; ++row) {
      for (std::int64_t c = group * size_; c < std::min((group + 1) * size_, channels_); ++c) {
        visit(static_cast<std::size_t>(row * channels_ + c));
      }
    }
  }

 private:
  std::int64_t channels_, size_, rows_ = 0;
};

/// Whether weights of this shape get more than one scale a channel. A channel that is one group is computed as a
/// channel.
bool has_groups(const Shape& weight, const QuantizerSpec& spec);
/// As quantize_weight. The largest scale of a channel is the one that is raised for its bias, which is in units of it.
QuantizedWeight quantize_groups(const Tensor& weight, std::span<const float> bias, float input_scale,
                                const QuantizerSpec& spec, Arena* arena, std::span<const float> scales = {});
/// As numbers_of, f32.
Tensor group_numbers(const QuantizedWeight& weight, Arena* arena);
/// As integer_product.
void group_product(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                   const kernels::Requantization& requantization, Tensor& y, SliceMask* mask, MinMax* seen);
/// Sums, s32 [N, OH, OW, O], of which a unit is s_x * unit.scale[o].
struct IntegerSums {
  Tensor sums;
  QParams unit;
};
/// The groups' sums, joined as whole numbers of a fraction of the channel's largest scale.
IntegerSums joined_group_sums(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                              Arena* arena);
/// As real_results.
Tensor group_reals(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                   const kernels::Requantization& requantization, Arena* arena);

}  // namespace detent::quant
