#include "detent/kernels/product/weight_gradient/weight_gradient.h"

#include <algorithm>
#include <cstring>

#include "detent/core/memory.h"
#include "detent/core/processor/units.h"

namespace detent::kernels {
namespace {

/// Copies of a group of images and its gradients stay in a core's second-level cache.
constexpr std::int64_t kGroupBytes = 256 * 1024;
/// What vectors may read or write behind the last number.
constexpr std::int64_t kSlackWords = 16;

const WeightUnit* unit_for([[maybe_unused]] DType dtype) {
#if defined(DETENT_HAS_WEIGHT_TILES)
  const ProcessorUnits& units = processor_units();
  if (dtype == DType::BF16) {
    return units.avx512_bf16 ? &weight_unit_bf16() : nullptr;
  }
  if (dtype == DType::F32) {
    return units.avx512 ? &weight_unit_avx512() : units.avx2 ? &weight_unit_avx2() : nullptr;
  }
#endif
  return nullptr;
}

bool has_padding(const ConvShape& s) { return s.padding.h() + s.padding.w() > 0; }

std::int64_t vectors_of(std::int64_t numbers, std::int64_t lanes) { return (numbers + lanes - 1) / lanes; }

/// A cut into the fewest slices of at most `most`, of sizes that differ by one at most.
Slices cut(std::int64_t count, std::int64_t most) { return {count, (count + most - 1) / most}; }

/// Whether the tiles are faster than oneDNN, as measured with 1 to 512 channels and images of 2 x 2 to 112 x 112.
bool suits(const ConvShape& s, DType dtype, std::int64_t lanes) {
  if (s.groups != 1 || (s.dilation_w > 1 && s.kw > 1)) {
    return false;  // a line of the window is not in one piece
  }
  if (s.kh * s.kw == 1) {
    return !has_padding(s);
  }
  const std::int64_t line = s.kw * s.c;
  if (4 * line < 3 * vectors_of(line, lanes) * lanes) {
    return false;  // few channels leave much of the vectors empty
  }
  // With 512 bits the copy of an f32 image costs more than the tiles gain on oneDNN's best shapes.
  const bool is_copied = has_padding(s) && s.stride_h * s.stride_w == 1;
  return !(dtype == DType::F32 && lanes == 16 && is_copied && s.c % lanes == 0);
}

}  // namespace

std::optional<WeightGradient> WeightGradient::make(const ConvShape& shape, DType dtype) {
  const WeightUnit* unit = unit_for(dtype);
  if (unit == nullptr || !suits(shape, dtype, unit->lanes)) {
    return std::nullopt;
  }
  return WeightGradient(shape, dtype, *unit);
}

WeightGradient::WeightGradient(const ConvShape& shape, DType dtype, const WeightUnit& unit)
    : shape_(shape), unit_(&unit), is_bf16_(dtype == DType::BF16) {
  ConvShape& s = shape_;
  const bool is_pixel = s.kh * s.kw == 1;
  if (is_pixel && s.stride_h * s.stride_w == 1) {
    s.w *= s.h;
    s.h = 1;
  }
  const bool in_place = !has_padding(s) && s.kw * s.c % unit.lanes == 0;
  layout_ = is_bf16_ && is_pixel ? Layout::Pixels : !is_bf16_ && in_place ? Layout::InPlace : Layout::Lines;
  height_ = layout_ == Layout::Lines ? (s.out_h() - 1) * s.stride_h + (s.kh - 1) * s.dilation_h + 1 : s.h;
  width_ = layout_ == Layout::Lines ? (s.out_w() - 1) * s.stride_w + s.kw : s.w;
  pixels_ = is_bf16_ ? (s.out_w() + 1) / 2 : s.out_w();
  x_words_ = layout_ == Layout::Pixels ? s.out_h() * pixels_ * row_words() : height_ * width_ * s.c;
  dy_words_ = s.out_h() * pixels_ * s.o;
  group_ = std::max<std::int64_t>(1, kGroupBytes / (4 * (x_words_ + dy_words_)));
}

/// A line of the padded image, `width_` pixels.
template <typename T>
void WeightGradient::pad_line(const T* image, std::int64_t line, T* padded) const {
  const ConvShape& s = shape_;
  const std::int64_t y = line - s.padding.top;
  if (y < 0 || y >= s.h) {
    std::fill_n(padded, width_ * s.c, T(0));
    return;
  }
  const std::int64_t left = std::min(s.padding.left, width_);
  const std::int64_t inner = std::min(s.w, width_ - left);
  std::fill_n(padded, left * s.c, T(0));
  std::copy_n(image + y * s.w * s.c, inner * s.c, padded + left * s.c);
  std::fill_n(padded + (left + inner) * s.c, (width_ - left - inner) * s.c, T(0));
}

void WeightGradient::copy_image(const std::byte* image, Word* words, Word* line) const {
  const ConvShape& s = shape_;
  const auto* const numbers = reinterpret_cast<const std::uint16_t*>(image);
  if (layout_ == Layout::Pixels) {
    for (std::int64_t y = 0; y < s.out_h(); ++y) {
      pair_pixels(numbers + y * s.stride_h * s.w * s.c, s.out_w(), s.stride_w * s.c, s.c,
                  words + y * pixels_ * row_words(), row_words());
    }
    return;
  }
  const std::int64_t row = width_ * s.c;
  auto* const padded = reinterpret_cast<std::uint16_t*>(line);
  const std::int64_t next = s.stride_w * s.c;
  std::fill_n(padded + row, next + kSlackWords, std::uint16_t{0});
  for (std::int64_t y = 0; y < height_; ++y) {
    if (is_bf16_) {
      pad_line(numbers, y, padded);
      pair_vectors(padded, padded + next, row, words + y * row);
    } else {
      pad_line(reinterpret_cast<const float*>(image), y, reinterpret_cast<float*>(words + y * row));
    }
  }
}

void WeightGradient::add(std::int64_t images, const std::byte* x, const std::byte* dy, float* sums) const {
  for (std::int64_t begin = 0; begin < images; begin += group_) {
    add_group(std::min(group_, images - begin), x + begin * shape_.input_row() * number_bytes(),
              dy + begin * shape_.output_row() * number_bytes(), sums);
  }
}

void WeightGradient::add_group(std::int64_t images, const std::byte* x, const std::byte* dy, float* sums) const {
  const ConvShape& s = shape_;
  const std::int64_t x_words = layout_ == Layout::InPlace ? 0 : images * x_words_ + kSlackWords;
  const std::int64_t dy_words = is_bf16_ ? images * dy_words_ : 0;
  const std::int64_t line_words = (width_ + s.stride_w) * s.c + kSlackWords;
  Word* const words =
      thread_scratch_of<Word>(static_cast<std::size_t>(x_words + dy_words + line_words), Scratch::ProductSums);
  WeightTile tile{.x = reinterpret_cast<const Word*>(x),
                  .images = images,
                  .lines = s.out_h(),
                  .pixels = pixels_,
                  .x_image = x_words_,
                  .x_line = s.stride_h * width_ * s.c,
                  .x_pixel = (is_bf16_ ? 2 : 1) * s.stride_w * s.c,
                  .dy = reinterpret_cast<const Word*>(dy),
                  .dy_pixel = s.o};
  if (layout_ == Layout::Pixels) {
    tile.x_pixel = row_words();
    tile.x_line = pixels_ * row_words();
  }
  if (layout_ != Layout::InPlace) {
    for (std::int64_t i = 0; i < images; ++i) {
      copy_image(x + i * s.input_row() * number_bytes(), words + i * x_words_, words + x_words + dy_words);
    }
    tile.x = words;
  }
  if (is_bf16_) {
    Word* const pairs = words + x_words;
    for (std::int64_t i = 0; i < images * s.out_h(); ++i) {
      pair_pixels(reinterpret_cast<const std::uint16_t*>(dy) + i * s.out_w() * s.o, s.out_w(), s.o, s.o,
                  pairs + i * pixels_ * s.o, s.o);
    }
    tile.dy = pairs;
  }
  add_tiles(tile, sums);
}

void WeightGradient::add_tiles(WeightTile tile, float* sums) const {
  const ConvShape& s = shape_;
  const std::int64_t lanes = unit_->lanes;
  const std::int64_t window_line = s.dilation_h * width_ * s.c;
  const Slices tiles = cut(vectors(), unit_->most_vectors);
  const Word* const dy = tile.dy;
  tile.sums_vector = s.o * lanes;
  for (std::int64_t t = 0; t < tiles.count; ++t) {
    const Range range = tiles[t];
    for (std::int64_t v = range.begin; v < range.end; ++v) {
      tile.vectors[v - range.begin] = v / line_vectors() * window_line + v % line_vectors() * lanes;
    }
    const int count = static_cast<int>(range.size());
    const Slices blocks = cut(s.o, unit_->most_outputs[count - 1]);
    for (std::int64_t b = 0; b < blocks.count; ++b) {
      const Range outputs = blocks[b];
      tile.dy = dy + outputs.begin;
      tile.sums = sums + (range.begin * s.o + outputs.begin) * lanes;
      unit_->kernel(count, static_cast<int>(outputs.size()))(tile);
    }
  }
}

void WeightGradient::store(const float* sums, float* dw) const {
  const std::int64_t lanes = unit_->lanes;
  for (std::int64_t v = 0; v < vectors(); ++v) {
    const std::int64_t place = v / line_vectors() * run() + v % line_vectors() * lanes;
    const std::int64_t count = std::min(lanes, run() - v % line_vectors() * lanes);
    for (std::int64_t o = 0; o < shape_.o; ++o) {
      std::copy_n(sums + (v * shape_.o + o) * lanes, count, dw + o * shape_.depth() + place);
    }
  }
}

}  // namespace detent::kernels
