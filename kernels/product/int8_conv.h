#pragma once

#include <memory>
#include <span>
#include <vector>

#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/product/conv.h"

namespace detent::kernels {

/// A sum that follows a layer: requantize_add of its codes and those of another tensor.
struct Int8Sum {
  ScaleZero other, output;
  CodeRange codes;  ///< of the output
  bool relu = false;
};

/// A convolution or linear layer of fixed weights and maps, from codes to codes, for inference: sums stay in registers
/// until they are requantized, and a max-pool of 2 x 2 that follows is done on them there (requantization is monotone,
/// so the largest sum gives the largest code). The codes are exactly those of conv2d_integer, requantize and
/// max_pool_forward. So does a sum with other codes that follows. Cheap to copy; immutable; `run` works on the calling
/// thread and may run on several.
class Int8Conv {
 public:
  /// Weight codes O KH KW I in [-127, 127]; `shape.n` does not matter. `pool`: 2 x 2, stride 2, unpadded, of whole
  /// windows as PoolShape has it.
  ///
  /// `x_qmax`: the largest code that the input may have. Where it has at most 2 bits and the weights are -1, 0 and 1,
  /// products are counts of bits, if that is faster here. Else linear layers' weights of 4 bits take half a byte.
  ///
  /// Gives an undefined Int8Conv where only the general functions will do: with groups, except, without a pool,
  /// depthwise convolutions on processors with AVX2, and groups of 32 channels and more whose bits are counted; with
  /// columns of the kernel apart (dilation_w > 1 < kw); where a code before clamping could pass 2^30; where the pool
  /// has no window. Throws Error where conv2d_integer would.
  static Int8Conv make(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                       const Requantization& requantization, bool pool = false, std::int32_t x_qmax = 255);

  /// The layer and the sum behind it, in one: `run` reads the other codes. Undefined also for depthwise convolutions,
  /// and where a code of the sum before clamping could pass 2^30.
  static Int8Conv make_added(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                             const Requantization& requantization, const Int8Sum& sum, std::int32_t x_qmax = 255);

  /// `make`, or with `sum` `make_added`, of counts of bits where they serve, faster or not, of groups of any size, too.
  static Int8Conv make_of_bits_for_tests(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                                         const Requantization& requantization, bool pool, std::int32_t x_qmax,
                                         const Int8Sum* sum = nullptr);

  /// For `observe`: of a convolution whose weights, or maps, change from step to step. Undefined also for linear
  /// layers, and where the outputs do not fill vectors (a multiple of 16 does) or a real value might not be finite.
  static Int8Conv make_observed(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                                const Requantization& requantization);

  bool defined() const { return layer_ != nullptr; }
  /// A run may be cut into this many parts: lines of the result, for linear layers blocks of outputs, or groups.
  std::int64_t parts() const { return layer_->parts(); }
  /// y_q of `parts` of each of `images` images. `other_q` is of y_q's shape and apart from it, and null without a sum.
  /// REQUIRES: images >= 1.
  void run(const std::uint8_t* x_q, std::int64_t images, Range parts, std::uint8_t* y_q,
           const std::uint8_t* other_q = nullptr) const {
    layer_->run(x_q, images, parts, y_q, other_q);
  }
  /// All of y_q, with what requantize gives beside the codes: `mask` and `seen`, which may be null. REQUIRES:
  /// make_observed.
  void observe(const std::uint8_t* x_q, std::int64_t images, std::uint8_t* y_q, std::uint8_t* mask,
               MinMax* seen) const {
    layer_->observe(x_q, images, y_q, mask, seen);
  }
  /// Bytes of packed weights and constants.
  std::size_t bytes() const { return layer_->bytes(); }
  /// For tests of verification: the packed weights, multipliers and biases, for writing.
  std::vector<std::span<std::byte>> packed_memory_for_tests() const { return layer_->packed_memory_for_tests(); }

  /// What runs it: on tiles (int8_conv.cpp), or depthwise.
  class Layer {
   public:
    virtual ~Layer() = default;
    virtual std::int64_t parts() const = 0;
    virtual void run(const std::uint8_t* x_q, std::int64_t images, Range parts, std::uint8_t* y_q,
                     const std::uint8_t* other_q) const = 0;
    virtual void observe(const std::uint8_t* x_q, std::int64_t images, std::uint8_t* y_q, std::uint8_t* mask,
                         MinMax* seen) const = 0;
    virtual std::size_t bytes() const = 0;
    virtual std::vector<std::span<std::byte>> packed_memory_for_tests() const = 0;
  };

 private:
  std::shared_ptr<const Layer> layer_;
};

}  // namespace detent::kernels
