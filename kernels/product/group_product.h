#pragma once

#include <functional>
#include <vector>

#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/product/conv.h"

namespace detent::kernels {

/// The product of codes with weights whose scales belong to groups of input channels: for each group the exact sums of
/// its channels alone, scaled and added up in their order (Requantization, with groups). Group g holds the channels
/// [g * size, (g + 1) * size) of a weight O KH KW I, the last one those that are left. Cheap to copy; immutable;
/// several threads may use it at once.
class GroupProduct {
 public:
  GroupProduct() = default;
  /// `size` is QParams::group. Throws Error where pack_integer would.
  GroupProduct(const ConvShape& shape, const std::int8_t* weight, std::int64_t size, ProductCodes codes);

  bool defined() const { return !groups_.empty(); }
  std::int64_t groups() const { return static_cast<std::int64_t>(groups_.size()); }
  /// total [N, OH, OW, O] of all images of `shape`, on all threads: see Requantization.
  void totals(const ConvShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point, const Requantization& r,
              float* total) const;
  /// y_q of all images.
  void run(const ConvShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point, const Requantization& r,
           std::uint8_t* y_q) const;

  /// Bytes of packed weights.
  std::size_t bytes() const;
  /// For tests of verification: the packed weights, for writing.
  std::vector<std::span<std::byte>> memory_for_tests() const;

 private:
  std::int64_t size_ = 0;
  std::vector<PackedWeight> groups_;
};

}  // namespace detent::kernels
