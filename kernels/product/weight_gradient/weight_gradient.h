#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "detent/kernels/product/conv.h"
#include "detent/kernels/product/weight_gradient/tile.h"

namespace detent::kernels {

/// dw[o][kh][kw][c] = sum over images and pixels of dy[pixel][o] * x[pixel at (kh, kw)][c], for the shapes that are
/// faster so than by oneDNN. x and dy are f32 or bf16, sums f32.
///
/// The numbers of a line of the window, [KW, C], are next to each other in a line of the image: they are cut into
/// vectors, and one image serves all taps. The sums lie as [KH][vector of a line][O][lane].
class WeightGradient {
 public:
  /// None if another way is better, or the only one: see `suits`.
  static std::optional<WeightGradient> make(const ConvShape& shape, DType dtype);

  /// Of one array of sums.
  std::int64_t sum_elements() const { return vectors() * shape_.o * unit_->lanes; }
  /// Adds those of `images` images to `sums`.
  void add(std::int64_t images, const std::byte* x, const std::byte* dy, float* sums) const;
  /// dw [O, KH, KW, C] of the sums.
  void store(const float* sums, float* dw) const;

 private:
  using Word = std::uint32_t;
  /// How tiles read the image:
  ///   InPlace  f32 as it is
  ///   Lines    a copy with its padding; of bf16 numbers each word pairs a pixel's with that of the next output's pixel
  ///   Pixels   of 1 x 1 kernels in bf16: a copy of pairs of pixels
  enum class Layout : std::uint8_t { InPlace, Lines, Pixels };

  WeightGradient(const ConvShape& shape, DType dtype, const WeightUnit& unit);
  std::int64_t run() const { return shape_.kw * shape_.c; }
  std::int64_t line_vectors() const { return (run() + unit_->lanes - 1) / unit_->lanes; }
  std::int64_t vectors() const { return shape_.kh * line_vectors(); }
  std::int64_t row_words() const { return vectors() * unit_->lanes; }
  std::int64_t number_bytes() const { return is_bf16_ ? 2 : 4; }
  template <typename T>
  void pad_line(const T* image, std::int64_t line, T* padded) const;
  void copy_image(const std::byte* image, Word* words, Word* line) const;
  void add_group(std::int64_t images, const std::byte* x, const std::byte* dy, float* sums) const;
  void add_tiles(WeightTile tile, float* sums) const;

  ConvShape shape_;
  const WeightUnit* unit_;
  bool is_bf16_;
  Layout layout_ = Layout::Lines;
  std::int64_t height_ = 0, width_ = 0;      ///< of the padded image, as far as windows reach
  std::int64_t pixels_ = 0;                  ///< of an output line; pairs of pixels for bf16
  std::int64_t x_words_ = 0, dy_words_ = 0;  ///< of an image
  std::int64_t group_ = 1;                   ///< images that are worked on at a time
};

}  // namespace detent::kernels
