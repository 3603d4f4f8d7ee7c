#pragma once

#include <memory>
#include <vector>

#include "detent/core/threads/parallel.h"
#include "detent/kernels/product/conv.h"
#include "detent/kernels/product/direct/direct_tile.h"

namespace detent::kernels {

/// What becomes of the sums of a DirectConv: y = max(0, sum + bias + other), each where it is wanted.
struct DirectEpilogue {
  const float* bias = nullptr;   ///< [O]
  const float* other = nullptr;  ///< as y, which is f32 then
  bool relu = false;
  DType out = DType::F32;  ///< of y: f32, or bf16 where the product is in bf16
};

/// A convolution in f32 or bf16 (groups == 1), or the gradient of its input, on the calling thread: sums of a tile of
/// pixels and outputs stay in registers. The gradient is the product of dy and the turned kernel; with a stride s it is
/// s x s such products, one for each set of pixels that the same taps reach. Immutable.
///
/// Weights are packed by `pack`. For each product, outputs are cut into blocks of up to kMostVectors vectors:
/// [product][block][tap row][tap column][group][vector][lane][numbers of a group], where a group is one f32, or two
/// bf16, of what the product reads: neighbouring channels of a tap, or, with columns side by side (dilation_w == 1, or
/// one column), of a row of taps.
class DirectConv {
 public:
  /// Where it is faster than oneDNN's convolution, as measured on one thread. On 512 bits: forward of up to 32
  /// channels, and of channels or outputs that do not fill vectors, by up to twice; of 1 x 1 kernels those with
  /// strides; dx of 128 channels and more. On 256 bits: forward of 3 to 20 channels without strides. oneDNN is faster
  /// by 5 to 15 % for dx of few channels, for 1 x 1 kernels, and for forward of 64 and more. What one call costs is not
  /// counted.
  static bool is_preferred(const ConvShape& shape, DType dtype, bool is_backward);

  /// Null where the processor has no units for it, and for groups.
  static std::shared_ptr<const DirectConv> make_forward(const ConvShape& shape, DType dtype);
  static std::shared_ptr<const DirectConv> make_backward(const ConvShape& shape, DType dtype);

  std::size_t weight_bytes() const;
  /// `plain`: O KH KW I of f32 or bf16. `packed` is aligned to kAlignment.
  void pack(const std::byte* plain, std::byte* packed) const;

  /// What a run may be cut into: for each block of outputs the lines of the result, so that neighbouring parts share
  /// weights; 1 where the result is cut into several products.
  std::int64_t parts() const;
  /// Forward: x -> y. Backward: dy -> dx. Of `images` images, the `parts` of each.
  void run(const std::byte* x, std::int64_t images, Range parts, const std::byte* packed,
           const DirectEpilogue& epilogue, std::byte* y) const;

 private:
  /// One direction of a product: line (or column) `first + i * step` of y, 0 <= i < count, sums over taps t of line
  /// x_first + i * x_step + t * tap_step of x with line kernel_first + t * kernel_step of the kernel.
  struct Axis {
    std::int64_t count = 0, first = 0, step = 1;
    std::int64_t x_first = 0, x_step = 1;
    std::int64_t taps = 0, tap_step = 1;
    std::int64_t kernel_first = 0, kernel_step = 1;
    std::int64_t x_last() const { return x_first + (count - 1) * x_step + (taps - 1) * tap_step; }
  };
  struct Product {
    Axis rows, columns;
    std::int64_t weight = 0;  ///< where its packed weights begin, in groups of a lane
  };
  struct Image {
    std::int64_t h = 1, w = 1, c = 1;
    std::int64_t elements() const { return h * w * c; }
  };

  DirectConv(const ConvShape& shape, DType dtype, bool is_backward, const direct::Unit& unit);
  static std::shared_ptr<const DirectConv> make(const ConvShape& shape, DType dtype, bool is_backward);
  static std::vector<Axis> backward_axes(std::int64_t x, std::int64_t kernel, std::int64_t stride, std::int64_t pad,
                                         std::int64_t dilation);
  void set_padding();
  template <typename T>
  void pack_as(const T* plain, T* packed) const;
  bool joins(const Product& product) const { return product.columns.tap_step == 1 || product.columns.taps == 1; }
  std::int64_t run_length(const Product& product) const;
  std::int64_t steps(const Product& product) const;
  const std::byte* padded(const std::byte* image, Range lines) const;
  void run_image(const std::byte* x, Range parts, const std::byte* packed, const DirectEpilogue& epilogue,
                 std::byte* y) const;
  void run_block(const Product& product, std::int64_t block, const std::byte* x, Range lines, const std::byte* packed,
                 const DirectEpilogue& epilogue, std::byte* y) const;

  ConvShape shape_;
  bool is_backward_;
  const direct::Unit& unit_;
  std::int64_t element_;  ///< bytes of a number
  Image x_, y_;
  std::vector<Product> products_;
  std::int64_t top_ = 0, left_ = 0, width_ = 0, lines_ = 0;  ///< of the padded image
  bool is_copied_ = false;
  Slices blocks_;  ///< of vectors
  std::int64_t weight_vectors_ = 0;
};

}  // namespace detent::kernels
