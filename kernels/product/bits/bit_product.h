#pragma once

#include <memory>
#include <vector>

#include "detent/kernels/product/bits/bit_tile.h"
#include "detent/kernels/product/conv.h"
#include "detent/kernels/product/int8/product.h"

/// The walk of tiles of bits over an integer product. Private to int8_conv.cpp.
namespace detent::kernels {

/// What Int8Product is of codes and weights of any size, of codes of at most 2 bits and weights of -1, 0 and 1: the
/// same functions, with the same results, but for those that training observes. Images are made bit planes, padded,
/// before tiles read them. Cheap to copy; immutable.
class BitProduct {
 public:
  /// Whether it serves: no groups, neighbouring columns of the kernel, codes of at most 2 bits, weights of -1, 0, 1.
  static bool serves(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_qmax);
  /// Whether it also is faster here than Int8Product, by what both were measured to take. REQUIRES: serves.
  static bool is_faster(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_qmax);

  /// REQUIRES: serves.
  BitProduct(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_qmax, bool pool);

  std::int64_t lanes() const { return vectors_ * lanes_of_vector_; }
  std::vector<std::int32_t> start(std::int32_t x_zero_point) const;
  std::int64_t blocks() const { return blocks_.count; }
  void run_image(const std::uint8_t* x, std::uint8_t x_zero_point, Range lines, const Int8Results& results,
                 std::uint8_t* y, const std::uint8_t* other = nullptr) const;
  void run_rows(const std::uint8_t* x, std::int64_t rows, Range blocks, const Int8Results& results, std::uint8_t* y,
                const std::uint8_t* other = nullptr) const;
  const std::shared_ptr<std::byte>& weight() const { return weight_; }
  std::size_t weight_bytes() const { return weight_bytes_; }

 private:
  struct Lines;
  void pack(const std::int8_t* weight);
  Lines lines_of(const std::uint8_t* image, std::uint8_t x_zero_point, Range lines) const;
  void add_windows(const std::int32_t* sums, std::int64_t width, std::int64_t lines, std::int32_t* row_totals,
                   std::int32_t* totals) const;
  BitTile tile_of(std::int64_t block, const Int8Results& results, const Lines& lines, std::uint8_t* y,
                  const std::uint8_t* other) const;
  void run_tiles(BitTile& tile, std::int64_t count, std::int64_t block, const Int8Results& results, std::int64_t x_step,
                 std::int64_t total_step) const;
  const Int8Unit& unit() const { return bit_unit().of(planes_, masks_); }

  ConvShape shape_;
  int planes_, masks_;
  bool pool_;
  std::int64_t lanes_of_vector_;
  std::int64_t pixel_bytes_;           // of a plane
  std::int64_t groups_;                // of a row of the window
  std::int64_t vectors_;               // of outputs
  Slices blocks_;                      // of vectors
  std::shared_ptr<std::byte> weight_;  // [block][kernel row][group][vector][mask][lane][4 bytes]
  std::size_t weight_bytes_;
  std::vector<std::int32_t> sums_;  // of weights, by lane
};

}  // namespace detent::kernels
