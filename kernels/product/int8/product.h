#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "detent/kernels/product/conv.h"
#include "detent/kernels/product/int8/tile.h"

/// The walk of tiles over an integer product. Private to kernels/product.
namespace detent::kernels {

/// What a run makes of the sums. Constants by output are by lane: see Int8Product::lanes.
struct Int8Results {
  Int8Kernels Int8Unit::*kernels = nullptr;  ///< which of the unit's
  const std::int32_t* start = nullptr;       ///< what sums begin with
  TileRequantization requantization = {};
  TileAddition addition = {};
  TileReals reals = {};
  std::int64_t bytes = 1;  ///< of a result: 1 of codes, 4 of sums and reals
};

/// The packed weights of a convolution or linear layer, and the products of images of codes with them, on the unit of
/// this processor. Outputs are cut into blocks of as many vectors as tiles have. Cheap to copy; immutable.
class Int8Product {
 public:
  /// Weight codes O KH KW I in [-127, 127]; `shape.n` does not matter. `pool`: for the pooled kernels.
  Int8Product(const ConvShape& shape, const std::int8_t* weight, bool pool = false);

  /// Outputs counted as whole vectors, group by group: what constants by output are filled up to.
  std::int64_t lanes() const { return shape_.groups * vectors_ * unit_->lanes; }
  /// -x_zero_point * (the sum of an output's weights), by lane: sums of codes with it are sums less their zero point.
  std::vector<std::int32_t> start(std::int32_t x_zero_point) const;
  std::int64_t blocks() const { return blocks_.count; }
  /// The outputs of some blocks. REQUIRES: no groups.
  Range outputs(Range blocks) const {
    return {blocks_[blocks.begin].begin * unit_->lanes, std::min(blocks_[blocks.end - 1].end * unit_->lanes, shape_.o)};
  }

  /// y of the lines of one image, or with pooling lines of windows, on the calling thread. Padding is with
  /// x_zero_point. `y` is of the whole image, and so is `other`, for kernels that add it. `observation`, of the first
  /// of these lines, may be null.
  void run_image(const std::uint8_t* x, std::uint8_t x_zero_point, Range lines, const Int8Results& results,
                 std::uint8_t* y, const std::uint8_t* other = nullptr,
                 const TileObservation* observation = nullptr) const;
  /// Of some blocks of outputs of `rows` images of one pixel. REQUIRES: a linear layer's shape.
  void run_rows(const std::uint8_t* x, std::int64_t rows, Range blocks, const Int8Results& results, std::uint8_t* y,
                const std::uint8_t* other = nullptr) const;

  const std::shared_ptr<std::byte>& weight() const { return weight_; }
  std::size_t weight_bytes() const { return weight_bytes_; }

 private:
  struct Lines;
  void pack(const std::int8_t* weight, std::int64_t group, std::int64_t block);
  Lines lines_of(const std::uint8_t* image, std::uint8_t x_zero_point, Range lines, std::int64_t group) const;
  std::int64_t pixel_groups() const;
  Int8Tile tile_of(std::int64_t group, std::int64_t block, const Int8Results& results, std::uint8_t* y,
                   const std::uint8_t* other) const;

  ConvShape shape_;
  const Int8Unit* unit_;
  bool pool_;
  bool are_windows_;                   // lines hold each pixel's window instead of the image: see lines_of
  std::int64_t vectors_;               // of a group's outputs
  std::int64_t steps_;                 // groups of codes in a row of the window
  Slices blocks_;                      // of vectors
  std::shared_ptr<std::byte> weight_;  // [group][block][kernel row][step][vector][lane][4 bytes]
  std::size_t weight_bytes_;
  std::vector<std::int32_t> sums_;  // of weights, by lane
};

}  // namespace detent::kernels
