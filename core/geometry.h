#pragma once

#include <cstdint>
#include <ostream>

namespace detent {

/// A number for the height and one for the width of images: a window, a stride, a dilation. One number stands for both.
struct Extent2d {
  std::int64_t h = 1, w = 1;

  constexpr Extent2d() = default;
  constexpr Extent2d(std::int64_t both) : h(both), w(both) {}
  constexpr Extent2d(std::int64_t height, std::int64_t width) : h(height), w(width) {}
  constexpr bool operator==(const Extent2d&) const = default;
};

/// Lines and columns that are put around an image. One number stands for all four sides; two are those above and below,
/// and those on the left and right.
struct Padding2d {
  std::int64_t top = 0, left = 0, bottom = 0, right = 0;

  constexpr Padding2d() = default;
  constexpr Padding2d(std::int64_t all) : Padding2d(all, all) {}
  constexpr Padding2d(std::int64_t h, std::int64_t w) : Padding2d(h, w, h, w) {}
  constexpr Padding2d(std::int64_t above, std::int64_t left_side, std::int64_t below, std::int64_t right_side)
      : top(above), left(left_side), bottom(below), right(right_side) {}
  constexpr bool operator==(const Padding2d&) const = default;

  constexpr std::int64_t h() const { return top + bottom; }
  constexpr std::int64_t w() const { return left + right; }
  constexpr bool is_negative() const { return top < 0 || left < 0 || bottom < 0 || right < 0; }
  /// So much that an output of stride 1 is as large as its input; of an odd sum the larger half below and on the right.
  static constexpr Padding2d same(Extent2d kernel, Extent2d dilation = 1) {
    const std::int64_t sum_h = dilation.h * (kernel.h - 1);
    const std::int64_t sum_w = dilation.w * (kernel.w - 1);
    return {sum_h / 2, sum_w / 2, sum_h - sum_h / 2, sum_w - sum_w / 2};
  }
};

/// Prints as "3 x 5".
inline std::ostream& operator<<(std::ostream& out, const Extent2d& extent) {
  return out << extent.h << " x " << extent.w;
}

/// Prints as "1 x 2" where opposite sides are equal, and else as "1, 0, 1, 2": top, left, bottom, right.
inline std::ostream& operator<<(std::ostream& out, const Padding2d& p) {
  if (p.top == p.bottom && p.left == p.right) {
    return out << p.top << " x " << p.left;
  }
  return out << p.top << ", " << p.left << ", " << p.bottom << ", " << p.right;
}

}  // namespace detent
