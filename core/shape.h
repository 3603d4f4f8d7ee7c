#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>
#include <vector>

namespace detent {

/// The extents of a tensor, outermost first. Images are N H W C; weights O KH KW I (convolution) and O I (linear).
/// A shape without dimensions is a scalar: it has one element.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) : extents_(extents) {}
  explicit Shape(std::vector<std::int64_t> extents) : extents_(std::move(extents)) {}

  std::size_t rank() const { return extents_.size(); }
  std::int64_t operator[](std::size_t axis) const { return extents_[axis]; }
  std::span<const std::int64_t> extents() const { return extents_; }

  /// Product of all extents. Throws Error if one is negative or the product passes 2^63 - 1.
  std::int64_t elements() const;
  /// Product of all extents but the first: the elements of one example. Throws Error for a scalar.
  std::int64_t row_elements() const;
  /// The same shape without its first extent. Throws Error for a scalar.
  Shape row() const;
  /// The same shape with `n` put in front of it.
  Shape batched(std::int64_t n) const;

  bool operator==(const Shape&) const = default;

 private:
  std::vector<std::int64_t> extents_;
};

/// Prints as [128, 28, 28, 1].
std::ostream& operator<<(std::ostream& out, const Shape& shape);

}  // namespace detent
