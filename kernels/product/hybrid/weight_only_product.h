#pragma once

#include <memory>
#include <span>
#include <vector>

#include "detent/core/qparams.h"
#include "detent/kernels/product/conv.h"

namespace detent::kernels {

/// A convolution or linear layer from f32 to f32 whose weights are kept as codes and become numbers in registers:
///
///   y = sum over groups g of s_w[o, g] * (sum over the channels of group g of x * w_q) + bias[o], with ReLU at least 0
///
/// The sums are f32, in 16 lanes, whose order depends on the layer alone: the same bits in every batch, at any number
/// of threads, and on every processor with fused multiply-add (without it the last bits may be others).
///
/// Memory follows the bits: codes of 5 to 8 bits take 8, of 3 and 4 take 4, of 2 take 2, with each group of a row
/// filled up to whole vectors (16, 32, 64 codes), outputs to a multiple of 4, and 4 bytes a scale. A layer of one row
/// reads no more than that, which is why it is fast where weights do not fit caches. Immutable; `run` works on the
/// calling thread and may run on several.
class WeightOnlyProduct {
 public:
  /// Weight codes O KH KW I with their scales, symmetric; `bias` has O numbers or none, which counts as zeros.
  /// `shape.n` does not matter.
  WeightOnlyProduct(const ConvShape& shape, const std::int8_t* weight, const QParams& map, std::span<const float> bias,
                    bool relu);

  /// A run may be cut into this many parts: blocks of outputs of a linear layer, else lines of the result.
  std::int64_t parts() const;
  /// y [images, OH, OW, O], or `parts` of it. REQUIRES: images >= 1.
  void run(const float* x, std::int64_t images, Range parts, float* y) const;

  /// Bytes of packed weights, scales and biases.
  std::size_t bytes() const;
  /// For tests of verification: packed weights, scales and biases, for writing.
  std::vector<std::span<std::byte>> memory_for_tests() const;

 private:
  std::size_t weight_bytes() const;
  void pack(const std::int8_t* weight, std::int64_t output);
  void gather(const float* image, std::int64_t row, std::int64_t column, std::int64_t group, float* to) const;
  void run_rows(const float* x, std::int64_t rows, Range outputs, float* y) const;
  void run_lines(const float* image, Range lines, float* y) const;
  void multiply(const float* x, std::int64_t rows, Range outputs, float* y) const;

  ConvShape shape_;
  float lowest_;              ///< of a result: 0 with ReLU
  int bits_;                  ///< that a code takes: 8, 4 or 2
  std::int64_t size_;         ///< channels of a group of weights
  std::int64_t groups_;       ///< of weights
  std::int64_t blocks_;       ///< vectors of bytes of a group, but
  std::int64_t last_blocks_;  ///< of the last one
  std::int64_t width_;        ///< numbers of a row of x, filled up
  std::vector<float> scale_;  ///< [O, G]
  std::vector<float> bias_;
  std::shared_ptr<std::byte> weight_;  ///< see weight_only_tile.h
};

}  // namespace detent::kernels
