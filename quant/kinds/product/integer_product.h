#pragma once

#include <vector>

#include "detent/autograd/tape.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/product/conv.h"
#include "detent/quant/quantizers/quantizer_spec.h"

/// The integer forward pass of convolutions and linear layers: the one arithmetic that training, once frozen, and the
/// converted model both run. This is why their codes are equal. (Of its kernels Int8Conv is the faster and
/// conv2d_integer with requantize the more general; their codes, masks and ranges are the same to the last bit.)
namespace detent::quant {

/// Weights as codes, s8, of the shape of `weight` (O first): symmetric.
struct QuantizedWeight {
  Tensor codes;
  QParams qparams;
};
/// The weights in units of QParams::scale_of, as numbers of type `dtype`: what the gradient of x is a product with.
Tensor numbers_of(const QuantizedWeight& weight, DType dtype, Arena* arena);
/// `weight` f32 [O, ...]. Ranges are those of the weights as they are; scales are raised where the layer's `bias`
/// (reals, or empty) would not fit beside them and an input of scale `input_scale`: see scale_for_bias. With `scales`,
/// one for each map, these take the place of the ranges. With `factor`, one for each output of a spec that is
/// per-channel, it is weight * factor that is quantized.
QuantizedWeight quantize_weight(const Tensor& weight, std::span<const float> bias, float input_scale,
                                const QuantizerSpec& spec, Arena* arena = nullptr, std::span<const float> scales = {},
                                std::span<const float> factor = {});

/// What each slice sees, all of which is included in `total` in the end, if that is not null.
class SeenBySlice {
 public:
  SeenBySlice(std::int64_t slices, MinMax* total)
      : by_slice_(total ? static_cast<std::size_t>(slices) : 0), total_(total) {}
  ~SeenBySlice() {
    for (const MinMax& seen : by_slice_) {
      total_->include(seen);
    }
  }
  SeenBySlice(const SeenBySlice&) = delete;
  SeenBySlice& operator=(const SeenBySlice&) = delete;
  MinMax* of(std::int64_t slice) { return total_ ? &by_slice_[static_cast<std::size_t>(slice)] : nullptr; }

 private:
  std::vector<MinMax> by_slice_;
  MinMax* total_;
};

/// One mask bit an element of a product's result, for the straight-through gradient. The bits of each slice of images
/// (conv_slices) start at a byte of their own, so that slices are written in parallel.
class SliceMask {
 public:
  SliceMask() = default;
  SliceMask(const kernels::ConvShape& shape, Arena* arena);
  /// Those bits of this one that are set in `bits` as well, one an element of all images without a break. REQUIRES: an
  /// image has a multiple of 8 elements.
  SliceMask joined(const kernels::ConvShape& shape, const Tensor& bits, Arena* arena) const;
  bool defined() const { return bits_.defined(); }
  std::uint8_t* of(std::int64_t slice) { return bits_.data<std::uint8_t>().data() + slice * slice_bytes_; }
  const std::uint8_t* of(std::int64_t slice) const { return bits_.data<std::uint8_t>().data() + slice * slice_bytes_; }

 private:
  std::int64_t slice_bytes_ = 0;
  Tensor bits_;
};

/// y_q = requantize(sum (x_q - x_zp) * w_q), a slice at a time while its sums are in cache. `x` are codes with their
/// QParams; `y` u8. With `mask` and `seen` (the range of the real results): see kernels::requantize; both may be null.
void integer_product(const kernels::ConvShape& shape, const Tensor& x, const kernels::PackedWeight& weight,
                     const kernels::Requantization& requantization, Tensor& y, SliceMask* mask = nullptr,
                     MinMax* seen = nullptr);

/// The map of the codes that a product reads. Throws Error for plain numbers.
ScaleZero input_map(const Tensor& x);
/// For pack_integer: the codes that `x` and weights with the codes `weight` can have.
kernels::ProductCodes product_codes(const Tensor& x, CodeRange weight);

/// The same with weights that are new. On VNNI units convolutions are requantized in registers.
void integer_product(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                     const kernels::Requantization& requantization, Tensor& y, SliceMask* mask = nullptr,
                     MinMax* seen = nullptr);
/// The same of weights without groups that were packed already, whose codes are `weight`.
void integer_product(const kernels::ConvShape& shape, const Tensor& x, const Tensor& weight,
                     const kernels::PackedWeight& packed, const kernels::Requantization& requantization, Tensor& y,
                     SliceMask* mask, MinMax* seen);

/// The real results that a requantization sees, f32 [N, OH, OW, O]: what range rules that need values are shown.
Tensor real_results(const kernels::ConvShape& shape, const Tensor& x, const QuantizedWeight& weight,
                    const kernels::Requantization& requantization, Arena* arena);

/// The least and the largest sum + bias that any codes of x can give, over all outputs: of each, the sum of
/// w_q * (x_q - x_zp) with x_q at one end of its codes where w_q > 0 and at the other where w_q < 0. No sum on the way
/// to one leaves [lowest, highest] either, in whatever order it is taken, since x_zp is a code.
struct SumRange {
  std::int64_t lowest = 0, highest = 0;
  std::int64_t bound() const { return std::max(-lowest, highest); }
  /// Of the smallest two's complement number that holds all of them.
  int bits() const;
};
SumRange sum_range(const Tensor& weight_codes, const QParams& input, std::span<const std::int32_t> bias);

}  // namespace detent::quant
