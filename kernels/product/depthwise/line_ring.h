#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <type_traits>

#include "detent/core/conversion.h"
#include "detent/core/divide_up.h"
#include "detent/core/memory.h"

namespace detent::kernels::depthwise {

/// Elements behind the last line that vectors may read.
inline constexpr std::int64_t kSlack = 64;

/// The first `channels` elements of each of `pixels` pixels, which lie `from_step` and `to_step` elements apart.
template <typename S, typename T>
void copy_pixels(const S* from, std::int64_t from_step, std::int64_t pixels, std::int64_t channels, T* to,
                 std::int64_t to_step) {
  const bool are_neighbours = from_step == channels && to_step == channels;
  const std::int64_t runs = are_neighbours ? 1 : pixels;
  const auto count = static_cast<std::size_t>(are_neighbours ? pixels * channels : channels);
  for (std::int64_t i = 0; i < runs; ++i) {
    if constexpr (std::is_same_v<S, T>) {
      std::memcpy(to + i * to_step, from + i * from_step, count * sizeof(T));
    } else {
      convert(std::span<const S>(from + i * from_step, count), to + i * to_step);
    }
  }
}

/// Lines of images with padding in them, the few that one line of results needs, in the order in which they are needed:
/// each is copied once, and stays in a core's first cache. All lines above and below the image are one, behind the
/// others. T is the type of its elements, S that of the images'.
template <typename T, typename S>
class LineRing {
 public:
  struct Format {
    std::int64_t height = 1, width = 1, channels = 1;  // of an image
    std::int64_t first_column = 0, columns = 1;        // of lines; in the image's columns, which may be negative
    std::int64_t lanes = 1;                            // elements of a pixel of a line, at least `channels`
    std::int64_t lines = 1;                            // the most that are needed at once
    T fill = {};                                       // what stands where there is no image
    std::int64_t line() const { return columns * lanes; }
    std::int64_t elements() const { return (lines + 1) * line() + kSlack; }
  };

  /// REQUIRES: memory of format.elements() elements, which outlives the ring.
  LineRing(const Format& format, T* memory) : f_(format), memory_(memory) {
    begin_ = std::max<std::int64_t>(f_.first_column, 0);
    end_ = std::max(begin_, std::min(f_.first_column + f_.columns, f_.width));
    if (f_.lanes != f_.channels) {
      std::fill_n(memory_, f_.elements(), f_.fill);
      return;
    }
    const std::int64_t left = std::min(begin_ - f_.first_column, f_.columns) * f_.lanes;
    const std::int64_t right = std::max(end_ - f_.first_column, std::int64_t{0}) * f_.lanes;
    for (std::int64_t i = 0; i < f_.lines; ++i) {
      T* const line = memory_ + i * f_.line();
      std::fill_n(line, left, f_.fill);
      std::fill(line + std::max(left, right), line + f_.line(), f_.fill);
    }
    std::fill_n(memory_ + f_.lines * f_.line(), f_.line() + kSlack, f_.fill);
  }

  void start(const S* image) {
    image_ = image;
    next_ = std::numeric_limits<std::int64_t>::min();
  }
  /// Brings the lines [first, last] of the image into the ring; may be above or below it. REQUIRES: after start(),
  /// neither goes back; last - first < lines.
  void reach(std::int64_t first, std::int64_t last) {
    for (std::int64_t i = std::max(next_, first); i <= last; ++i) {
      fill(i);
    }
    next_ = std::max(next_, last + 1);
  }
  const T* memory() const { return memory_; }
  /// Where a line lies that is in the ring, in elements from memory().
  std::int64_t offset(std::int64_t line) const {
    // 32 bits: several offsets are asked for a line of results, and a division of 64 takes as long as ten products.
    const bool is_outside = line < 0 || line >= f_.height;
    return (is_outside ? f_.lines : static_cast<std::uint32_t>(line) % static_cast<std::uint32_t>(f_.lines)) *
           f_.line();
  }

 private:
  void fill(std::int64_t line) {
    if (line < 0 || line >= f_.height) {
      return;
    }
    T* const to = memory_ + offset(line);
    const std::int64_t pixels = end_ - begin_;
    const S* const from = image_ + (line * f_.width + begin_) * f_.channels;
    copy_pixels(from, f_.channels, pixels, f_.channels, to + (begin_ - f_.first_column) * f_.lanes, f_.lanes);
  }

  const Format f_;
  T* const memory_;
  std::int64_t begin_ = 0, end_ = 0;
  const S* image_ = nullptr;
  std::int64_t next_ = 0;
};

}  // namespace detent::kernels::depthwise
