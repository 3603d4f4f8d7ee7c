#pragma once

#include "detent/quant/kinds/product/integer_product.h"

namespace detent::quant {

/// The sums of a product of codes, s32 [N, OH, OW, O], for those who need them more than once: batch statistics, and
/// the gradient through them. They are not kept but made again each time, a few images at a time in cache: the codes
/// that they come from are kept anyway, and products of codes are the cheap ones. Only the sums of weights that have
/// groups, which are several products each, are kept. Cheap to copy.
class ProductSums {
 public:
  /// REQUIRES: the memory of `x` and `weight` does not change while this is in use.
  ProductSums(const kernels::ConvShape& shape, Tensor x, const QuantizedWeight& weight, Arena* arena);

  const kernels::ConvShape& shape() const { return shape_; }
  /// A unit of the sums is s_x * unit().scale_of(o).
  const QParams& unit() const { return unit_; }

  /// Hands the sums of one slice of images (conv_slices) to `consume`, on this thread: part after part, in their order.
  /// Parts depend on the shape alone; each starts at a multiple of 8 elements of its slice.
  void visit(std::int64_t slice, const kernels::SumsConsumer& consume) const;
  /// The same for all slices, in parallel.
  void visit_all(const kernels::SumsConsumer& consume) const;

  /// y_q of the sums: as integer_product, whose weights' scales the `requantization` need not have.
  void requantize(const kernels::Requantization& requantization, Tensor& y, SliceMask* mask, MinMax* seen) const;
  /// As real_results.
  Tensor reals(const kernels::Requantization& requantization, Arena* arena) const;

 private:
  kernels::ConvShape shape_;
  Tensor x_;
  Tensor codes_;  // of the weight
  QParams unit_;
  kernels::PackedWeight packed_;
  Tensor kept_;  // s32, of weights with groups alone
};

}  // namespace detent::quant
