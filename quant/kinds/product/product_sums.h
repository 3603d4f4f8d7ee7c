#pragma once

#include <span>
#include <vector>

#include "detent/autograd/tape.h"
#include "detent/kernels/codes/batch_sums.h"
#include "detent/kernels/codes/step_sums.h"
#include "detent/quant/kinds/product/integer_product.h"

namespace detent::quant {

/// Sums of 8 bits, for the gradient alone: sum = center[o] + step[o] * narrow, of the range that an output's sums have.
/// A sum counts there with its share of the batch norm's correction, so that the error is below that of a gradient in
/// bf16.
struct NarrowSums {
  Tensor codes;  ///< s8 [N, OH, OW, O]
  std::vector<float> center, step;

  /// `moments` of each output.
  NarrowSums(const kernels::ConvShape& shape, std::span<const kernels::SumMoments> moments, Arena* arena);
};

/// The sums of a product of codes, s32 [N, OH, OW, O], for those who need them more than once: batch statistics, the
/// codes that are normalized with them, and exact gradients. A forward pass keeps them where that is cheaper
/// (visit_first); from it to the backward pass only codes are kept, from which they are made again, a few images at a
/// time in cache. Cheap to copy.
class ProductSums {
 public:
  /// REQUIRES: the memory of `x` and `weight` does not change while this is in use. Sums of weights that have groups,
  /// which are several products each, are kept.
  ProductSums(const kernels::ConvShape& shape, Tensor x, const QuantizedWeight& weight, Arena* arena);

  const kernels::ConvShape& shape() const { return shape_; }
  /// A unit of the sums is s_x * unit().scale_of(o).
  const QParams& unit() const { return unit_; }

  /// Hands the sums of one slice of images (conv_slices) to `consume`, on this thread: part after part, in their order.
  /// Parts depend on the shape alone; each starts at a multiple of 8 elements of its slice.
  void visit(std::int64_t slice, const kernels::SumsConsumer& consume) const;
  /// The same for all slices, in parallel.
  void visit_all(const kernels::SumsConsumer& consume) const;
  /// The same, and keeps the sums from now on, if that costs less than to make them again: for a forward pass.
  void visit_first(const kernels::SumsConsumer& consume, Arena* arena);

  /// y_q of the sums, and their mask: as integer_product, whose weights' scales the `requantization` need not have.
  /// Fills `narrow`, unless it is null.
  void requantize(const kernels::Requantization& requantization, Tensor& y, SliceMask& mask, NarrowSums* narrow) const;
  /// As real_results.
  Tensor reals(const kernels::Requantization& requantization, Arena* arena) const;
  /// What the gradient of the map of y_q needs (kernels::step_sums), of the gradient of y_q: of the results of a
  /// max-pool alone, as long as it is lazy, since it is 0 but for the winners. With `narrow`, the sums in 8 bits, these
  /// are taken where codes are so few that it does not matter (kernels::narrow_error at most 1/16).
  kernels::StepSums step_sums(const kernels::Requantization& requantization, const autograd::Backward& backward,
                              const NarrowSums* narrow = nullptr) const;

 private:
  /// Makes the sums of a part in `sums`, if that is not null.
  void visit(std::int64_t slice, const kernels::SumsConsumer& consume, std::int32_t* sums) const;

  kernels::ConvShape shape_;
  Tensor x_;
  Tensor codes_;  // of the weight
  QParams unit_;
  kernels::PackedWeight packed_;
  Tensor kept_;  // s32, or undefined
};

}  // namespace detent::quant
