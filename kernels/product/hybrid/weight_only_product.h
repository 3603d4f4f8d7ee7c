#pragma once

#include <memory>
#include <span>
#include <vector>

#include "detent/core/dtype.h"
#include "detent/core/qparams.h"
#include "detent/kernels/product/conv.h"
#include "detent/kernels/product/hybrid/weight_only_tile.h"

namespace detent::kernels {

/// A convolution or linear layer from f32 to f32 whose weights are kept as codes and become numbers in registers:
///
///   y = sum over groups g of s_w[o, g] * (sum over the channels of group g of x * w_q) + bias[o], with ReLU at least 0
///
/// The sums are f32. Within a group 32 products are summed up one after another, then scaled and added to the result:
/// the same bits in every batch and at any number of threads. Of bf16, x is first rounded to it (to nearest, ties to
/// even); its products with codes are exact. The last bits may be others on another class of processor.
///
/// Memory follows the bits: codes of 5 to 8 bits take 8, of 3 and 4 take 4, of 2 take 2, with each group of a row
/// filled up to a multiple of 2, 8, 16 codes, outputs (of a convolution group) to a multiple of 16, and 4 bytes a
/// scale. A layer of one row reads no more than that, which is why it is fast where weights do not fit caches; of
/// several rows a part of the weights becomes numbers once for all of them. Immutable; `run` works on the calling
/// thread and may run on several.
class WeightOnlyProduct {
 public:
  /// Weight codes O KH KW I with their scales, symmetric (signed_codes); `bias` has O numbers or none, which counts as
  /// zeros; `x`: F32, or BF16 for numbers that are rounded to it. `shape.n` does not matter.
  WeightOnlyProduct(const ConvShape& shape, const std::int8_t* weight, const QParams& map, std::span<const float> bias,
                    bool relu, DType x = DType::F32);

  /// A run may be cut into this many parts: blocks of outputs of a linear layer, else lines of the result.
  std::int64_t parts() const;
  /// y [images, OH, OW, O], or `parts` of it. REQUIRES: images >= 1.
  void run(const float* x, std::int64_t images, Range parts, float* y) const;

  /// Bytes of packed weights, scales and biases.
  std::size_t bytes() const;
  /// For tests of verification: packed weights, scales and biases, for writing.
  std::vector<std::span<std::byte>> memory_for_tests() const;

 private:
  void cut(std::int64_t channels);
  void pack(const std::int8_t* weight, std::int64_t output);
  std::int64_t block_of(std::int64_t output) const;
  std::int64_t outputs_of_group() const { return shape_.o / shape_.groups; }
  void gather(const float* image, std::int64_t row, std::int64_t column, std::int64_t group, float* to) const;
  void set_rows(weight_only::Work& work, const float* x, std::int64_t rows, std::int64_t outputs) const;
  void run_rows(const float* x, std::int64_t rows, Range outputs, float* y) const;
  void run_lines(const float* image, Range lines, float* y) const;
  void multiply(const float* x, std::int64_t rows, Range outputs, float* y) const;
  void multiply_blocks(const weight_only::Work& work, std::int64_t rows, std::int64_t blocks) const;
  void finish(const float* total, std::int64_t rows, std::int64_t stride, Range outputs, float* y) const;

  ConvShape shape_;
  float lowest_;  ///< of a result: 0 with ReLU
  DType x_;
  int bits_;                                ///< that a code takes: 8, 4 or 2
  std::int64_t size_;                       ///< channels of a group of weights
  std::int64_t groups_;                     ///< of weights
  std::vector<weight_only::Chunk> chunks_;  ///< of a row
  std::int64_t block_bytes_ = 0;            ///< of weights
  std::int64_t blocks_ = 0;                 ///< of a convolution group
  std::vector<float> scale_;                ///< [block][group][lane]
  std::vector<float> bias_;
  std::shared_ptr<std::byte> weight_;  ///< see weight_only_tile.h
  std::size_t weight_bytes_ = 0;
};

}  // namespace detent::kernels
