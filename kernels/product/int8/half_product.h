#pragma once

#include <memory>
#include <vector>

#include "detent/kernels/product/int8/product.h"

/// The walk of tiles with weights of half a byte over a linear layer. Private to int8_conv.cpp.
namespace detent::kernels {

/// What Int8Product is of linear layers with weights in [-8, 7]: the same functions, with the same results, in half the
/// memory. Cheap to copy; immutable.
class HalfProduct {
 public:
  /// Whether it serves: a linear layer, weights in [-8, 7], sums that fit 16 times as large, and a processor that has
  /// kernels for it.
  static bool serves(const ConvShape& shape, const std::int8_t* weight);

  /// REQUIRES: serves.
  HalfProduct(const ConvShape& shape, const std::int8_t* weight);

  std::int64_t lanes() const { return vectors_ * unit_->lanes; }
  std::vector<std::int32_t> start(std::int32_t x_zero_point) const;
  std::int64_t blocks() const { return blocks_.count; }
  void run_rows(const std::uint8_t* x, std::int64_t rows, Range blocks, const Int8Results& results, std::uint8_t* y,
                const std::uint8_t* other = nullptr) const;

  const std::shared_ptr<std::byte>& weight() const { return weight_; }
  std::size_t weight_bytes() const { return weight_bytes_; }

 private:
  void pack(const std::int8_t* weight);
  void run_block(std::int64_t block, const std::uint8_t* x, std::int64_t rows, const Int8Results& results,
                 std::uint8_t* y, const std::uint8_t* other) const;

  ConvShape shape_;
  const Int8Unit* unit_;
  std::int64_t vectors_;               // of outputs
  std::int64_t steps_;                 // groups of codes in a row
  Slices blocks_;                      // of vectors
  std::shared_ptr<std::byte> weight_;  // [block], each as half_tile.h has it
  std::size_t weight_bytes_;
  std::vector<std::int32_t> sums_;  // of weights, by lane
};

}  // namespace detent::kernels
