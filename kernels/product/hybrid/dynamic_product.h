#pragma once

#include <memory>
#include <span>
#include <vector>

#include "detent/core/qparams.h"
#include "detent/kernels/product/conv.h"

namespace detent::kernels {

class Int8Product;

/// A convolution or linear layer from f32 to f32 that multiplies codes: those of its weights, which are fixed, and
/// those of its input, whose map is chosen as it runs (dynamic quantization). The input of an example, an image or the
/// row of a linear layer, has one map, of that example's values alone (dynamic_map): its result is the same in every
/// batch. Of an output with G groups of weights (QParams::group; else G = 1):
///
///   acc[g, o] = sum over the channels of group g of (x_q - x_zp) * w_q                     s32, exact
///   total     = (float(acc[0, o]) * s_w[o, 0] + float(acc[1, o]) * s_w[o, 1]) + ...
///   y         = total * s_x + bias[o], with ReLU at least 0
///
/// in that order, each operation rounded to f32 by itself: the same bits on every processor and any number of threads.
/// Padding is with x_zp, real 0. Weights take one byte a code, whatever their bits. Immutable; `run` works on the
/// calling thread and may run on several.
///
/// With `pool` the results are the largest of each whole window of 2 x 2 pixels, which costs less than to write all of
/// them: y grows with its sum.
class DynamicProduct {
 public:
  /// Whether it can be made with `pool`.
  static bool pools(const ConvShape& shape, const QParams& map);

  /// Weight codes O KH KW I with their scales, symmetric; `bias` has O numbers or none, which counts as zeros; `input`:
  /// the codes that x gets, u8. `shape.n` does not matter. Throws Error where pack_integer would.
  DynamicProduct(const ConvShape& shape, const std::int8_t* weight, const QParams& map, std::span<const float> bias,
                 CodeRange input, bool relu, bool pool = false);

  /// A run of a linear layer may be cut into this many parts, blocks of outputs; of a convolution 1.
  std::int64_t parts() const;
  /// y [images, OH, OW, O], with `pool` [images, OH / 2, OW / 2, O], or `parts` of it. REQUIRES: images >= 1.
  void run(const float* x, std::int64_t images, Range parts, float* y) const;

  /// Bytes of packed weights and constants.
  std::size_t bytes() const;
  /// For tests of verification: packed weights, scales and biases, for writing.
  std::vector<std::span<std::byte>> memory_for_tests() const;

 private:
  /// A group of input channels; all of them where weights have no groups.
  struct Part {
    Range channels;  ///< within those of a convolution group
    ConvShape shape;
    std::shared_ptr<const Int8Product> tiles = nullptr;  ///< of convolutions without groups
    PackedWeight packed = {};                            ///< of the others
    /// Of an output's weights, by lane of tiles: what their sums have x_zp times too much.
    std::vector<std::int32_t> weight_sums = {};
    std::vector<float> scale = {};  ///< s_w[o], filled up with 1 to the lanes
  };

  Part make_part(const std::int8_t* weight, const QParams& map, std::int64_t group, CodeRange input) const;
  const std::uint8_t* codes_of_part(const Part& part, const std::uint8_t* codes, std::int64_t images) const;
  void run_rows(const float* x, std::int64_t rows, Range blocks, float* y) const;
  void run_image(const float* x, float* y) const;
  void run_tiles(const std::uint8_t* codes, ScaleZero map, float* y) const;
  std::int64_t output_row() const {
    return pool_ ? shape_.out_h() / 2 * (shape_.out_w() / 2) * shape_.o : shape_.output_row();
  }
  void add_part(std::size_t part, const std::int32_t* sums, std::int64_t rows, Range outputs, ScaleZero map,
                float* y) const;

  ConvShape shape_;
  CodeRange input_;
  float lowest_;  ///< of a result: 0 with ReLU
  bool pool_;
  std::vector<Part> parts_;
  std::vector<float> bias_;          ///< filled up with 0 to the lanes
  std::vector<std::int32_t> zeros_;  ///< what the sums of tiles begin with
};

}  // namespace detent::kernels
