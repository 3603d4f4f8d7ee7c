#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <span>

#include "detent/core/dtype.h"
#include "detent/core/geometry.h"
#include "detent/core/shape.h"
#include "detent/core/threads/parallel.h"

/// Products of activations and weights: 2-d convolution, and the linear layer, which is the 1 x 1 convolution of
/// 1 x 1 images. Images are N H W C, weights O KH KW I (for a linear layer: O I), sums N OH OW O.
namespace detent::kernels {

struct ConvShape {
  std::int64_t n = 1, h = 1, w = 1, c = 1;  ///< images, height, width, channels of the input
  std::int64_t o = 1, kh = 1, kw = 1;       ///< outputs; height and width of the kernel
  std::int64_t stride_h = 1, stride_w = 1;
  Padding2d padding = 0;  ///< with real 0
  std::int64_t dilation_h = 1, dilation_w = 1;
  std::int64_t groups = 1;  ///< divides c and o; groups == c == o is depthwise

  /// y [m, o] = x [m, k] W^T, W [o, k]
  static ConvShape linear(std::int64_t m, std::int64_t k, std::int64_t o) { return {.n = m, .c = k, .o = o}; }

  std::int64_t out_h() const { return (h + padding.h() - dilation_h * (kh - 1) - 1) / stride_h + 1; }
  std::int64_t out_w() const { return (w + padding.w() - dilation_w * (kw - 1) - 1) / stride_w + 1; }
  /// Products in one sum: (c / groups) * kh * kw.
  std::int64_t depth() const { return c / groups * kh * kw; }
  std::int64_t input_row() const { return h * w * c; }               ///< elements of one input image
  std::int64_t output_row() const { return out_h() * out_w() * o; }  ///< elements of one output image
  std::int64_t weight_elements() const { return o * depth(); }
  /// Whether each output pixel sees one input pixel, so that the whole is one matrix product of n * h * w rows.
  bool is_matmul() const;
  /// Whether it is a linear layer: every image is one pixel.
  bool is_linear() const { return h == 1 && w == 1 && is_matmul(); }
  Shape weight_shape() const { return {o, kh, kw, c / groups}; }
  /// Throws Error unless everything is positive, groups divide c and o, and the kernel fits into the padded image.
  void validate() const;
  bool operator==(const ConvShape&) const = default;
};

/// Weights in the layout that the kernels want, made from O KH KW I once and kept while they do not change.
/// Cheap to copy; immutable.
class PackedWeight {
 public:
  PackedWeight() = default;
  bool defined() const { return impl_ != nullptr; }
  /// Bytes of the packed weights.
  std::size_t bytes() const;
  /// For tests of verification: the packed weights, for writing. REQUIRES: packed without an owner.
  std::span<std::byte> memory_for_tests() const;
  struct Impl;
  explicit PackedWeight(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

/// For conv2d_forward. `weight` is f32 or bf16; the number of images in `shape` does not matter to the result.
/// A linear layer's weight is used as it is: with an `owner`, which keeps `weight` alive, it is not even copied.
/// REQUIRES, where an owner is given: the weight does not change while the result is in use.
PackedWeight pack_forward(const ConvShape& shape, DType dtype, const std::byte* weight,
                          std::shared_ptr<const void> owner = nullptr);
/// For the dx of conv2d_backward. `weight` is f32 or bf16; `owner` as in pack_forward.
PackedWeight pack_backward(const ConvShape& shape, DType dtype, const std::byte* weight,
                           std::shared_ptr<const void> owner = nullptr);
/// How large the factors of an integer product may be: |x_q - x_zp| <= x, |w_q| <= weight.
struct ProductCodes {
  std::int32_t x = 255;
  std::int32_t weight = 127;
  /// The most products whose sum surely fits s32: x * weight * depth < 2^31.
  std::int64_t largest_depth() const { return std::numeric_limits<std::int32_t>::max() / (std::int64_t{x} * weight); }
  /// Throws Error, which says so and how to mend it, for a sum of more products.
  void check_depth(std::int64_t depth) const;
};
/// For conv2d_integer. `codes` says which codes weight and input have. A linear layer's weight with an `owner` may be
/// used as it is, which suits a weight that changes every step; without one it is put into a layout whose products are
/// some percent faster. Throws Error if sums might not fit s32: see ProductCodes.
PackedWeight pack_integer(const ConvShape& shape, const std::int8_t* weight,
                          std::shared_ptr<const void> owner = nullptr, ProductCodes codes = {});

/// y = x * W + bias, then max(0, .) if `relu`. `x` and the packed weight have type `dtype` (f32 or bf16); sums are f32;
/// `y` is of type `out` (f32, or bf16 if dtype is bf16). `bias` may be null.
void conv2d_forward(const ConvShape& shape, DType dtype, const std::byte* x, const PackedWeight& weight,
                    const float* bias, bool relu, DType out, std::byte* y);

/// Receives the exact sums of the images [images.begin, images.end): acc [images.size(), OH, OW, O], valid during the
/// call. Called once a slice, on any thread.
using SumsConsumer = std::function<void(std::int64_t slice, Range images, const std::int32_t* acc)>;

/// The slices that all products cut the images of `shape` into: by its sizes alone, of a convolution at least 8 where
/// there are 8 images.
Slices conv_slices(const ConvShape& shape);

/// acc = sum (x_q - x_zero_point) * w_q in s32, exactly, on every processor: with VNNI as u8 x s8 products; without it
/// (where the processor's 16-bit sums of such products would saturate) as products of 16-bit numbers. Padding is with
/// x_zero_point. Each slice's sums are handed to `consume` while they are in cache. REQUIRES: the codes are those that
/// the weight was packed for. With `sums` [N, OH, OW, O], not null, that is where they are made, and stay.
void conv2d_integer(const ConvShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point,
                    const PackedWeight& weight, const SumsConsumer& consume, std::int32_t* sums = nullptr);
/// The same in slices of one's own, none larger than one of conv_slices can be: {n, 1} are all images by the calling
/// thread, as who works on a slice himself wants a part of it.
void conv2d_integer(const ConvShape& shape, const Slices& slices, const std::uint8_t* x_q, std::int32_t x_zero_point,
                    const PackedWeight& weight, const SumsConsumer& consume, std::int32_t* sums = nullptr);

/// Whether the processor has VNNI units of 512 bits.
bool has_int8_units();
/// Whether bf16 products run on bf16 units.
bool has_bf16_units();

/// What conv2d_backward reads and writes. With S the sums and L the loss:
///   dx = dL/dS * W^T (transposed convolution), dw = x^T dL/dS, db = sum over pixels of dL/dS
struct ConvBackward {
  DType dtype = DType::F32;  ///< f32 or bf16: the type of dy, x and the packed weight; sums are f32
  /// dL/dS [N, OH, OW, O] in memory, or, if null, made a slice at a time by `make_dy(slice, images, dy)`.
  const std::byte* dy = nullptr;
  std::function<void(std::int64_t slice, Range images, std::byte* dy)> make_dy;
  /// The input [N, H, W, C] in memory, or, if null, made a slice at a time by `make_x`. Read only if dw is wanted.
  const std::byte* x = nullptr;
  std::function<void(Range images, std::byte* x)> make_x;

  PackedWeight weight;          ///< from pack_backward; needed if dx is wanted
  std::byte* dx = nullptr;      ///< [N, H, W, C], or null: not wanted
  DType dx_dtype = DType::F32;  ///< f32 or, if dtype is bf16, bf16
  float* dw = nullptr;          ///< [O, KH, KW, I], or null: not wanted
  float* db = nullptr;          ///< [O], or null: not wanted
};

/// Overwrites dx, dw, db. Partial dw and db of slices are added in slice order.
void conv2d_backward(const ConvShape& shape, const ConvBackward& backward);

/// y = op(a) op(b), row-major: [m, k] x [k, n] with either operand transposed in memory ([k, m], [n, k]). `a` and `b`
/// are of type `dtype`, f32 or bf16 (multiplied as f32 where the processor has no bf16 units), sums are f32, `y` is of
/// type `out`: f32 or `dtype`.
struct MatmulShape {
  std::int64_t m = 1, k = 1, n = 1;
  bool transpose_a = false, transpose_b = false;
  bool operator==(const MatmulShape&) const = default;
};
void matmul(const MatmulShape& shape, DType dtype, const std::byte* a, const std::byte* b, DType out, std::byte* y);

/// The obviously-correct twins, in plain loops, for gradient checks in double precision and for tests.
/// T is float or double; the integer twin sums in 64 bits.
template <typename T>
void reference_conv2d_forward(const ConvShape& shape, const T* x, const T* weight, const T* bias, T* y);
template <typename T>
void reference_conv2d_backward(const ConvShape& shape, const T* dy, const T* x, const T* weight, T* dx, T* dw, T* db);
void reference_conv2d_integer(const ConvShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point,
                              const std::int8_t* weight, std::int32_t* acc);
template <typename T>
void reference_matmul(const MatmulShape& shape, const T* a, const T* b, T* y);

}  // namespace detent::kernels
