#include "detent/kernels/product/int8/product.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "detent/core/memory.h"
#include "detent/core/processor/vectorized.h"
#include "detent/kernels/product/int8/pack.h"

namespace detent::kernels {
namespace {

/// Of a group of codes, and of a weight's lane.
constexpr std::int64_t kStepBytes = 4;
/// Rows of a linear layer that are copied at a time.
constexpr std::int64_t kRowBytes = 64 * 1024;

/// Codes of an output that are packed at a time: whole steps.
constexpr std::int64_t kPackedTogether = 64;

/// A row of an output's window, group by group; the last one is filled up with zeros.
template <typename Code>
void pack_row(const std::int8_t* from, std::int64_t count, std::int64_t stride, std::byte* to) {
  constexpr std::int64_t kCodes = kStepBytes / sizeof(Code);
  const std::int64_t whole = count - count % kCodes;
  for (std::int64_t k = 0; k < whole; k += kCodes, to += stride) {
    std::uint32_t step = 0;
    if constexpr (kCodes == kStepBytes) {
      std::memcpy(&step, from + k, sizeof(step));
    } else {
      step = std::bit_cast<std::uint32_t>(std::array<Code, kCodes>{from[k], from[k + 1]});
    }
    std::memcpy(to, &step, sizeof(step));
  }
  if (whole < count) {
    Code codes[kCodes] = {};
    std::copy_n(from + whole, count - whole, codes);
    std::memcpy(to, codes, sizeof(codes));
  }
}

DETENT_VECTORIZED std::int32_t sum_of(const std::int8_t* codes, std::int64_t count) {
  std::int32_t sum = 0;
  for (std::int64_t k = 0; k < count; ++k) {
    sum += codes[k];
  }
  return sum;
}

DETENT_VECTORIZED void copy_codes(const std::uint8_t* from, std::int64_t count, std::uint16_t* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    to[i] = from[i];
  }
}

void copy_codes(const std::uint8_t* from, std::int64_t count, std::uint8_t* to) {
  std::memcpy(to, from, static_cast<std::size_t>(count));
}

/// Memory of this thread for `count` codes and what tiles read behind them.
template <typename Code>
Code* line_memory(std::int64_t count) {
  return thread_scratch_of<Code>(static_cast<std::size_t>(count + kStepBytes), Scratch::ProductInput);
}

/// The lines [first, first + count) of an image with padding around them, one after another.
template <typename Code>
const Code* padded_lines(const ConvShape& s, const std::uint8_t* image, std::uint8_t x_zero_point, std::int64_t first,
                         std::int64_t count) {
  const std::int64_t left = s.padding.left * s.c;
  const std::int64_t line = s.w * s.c;
  const std::int64_t sides = s.padding.w() * s.c;
  Code* const padded = line_memory<Code>(left + count * (line + sides));
  std::fill_n(padded, left, Code{x_zero_point});
  Code* to = padded + left;
  for (std::int64_t i = first; i < first + count; ++i, to += line + sides) {
    if (i < 0 || i >= s.h) {
      std::fill_n(to, line + sides, Code{x_zero_point});
      continue;
    }
    copy_codes(image + i * line, line, to);
    std::fill_n(to + line, sides, Code{x_zero_point});  // on the right of this line and on the left of the next
  }
  return padded;
}

/// The rows of the windows of `group` on these lines, pixel by pixel: [count, OW, KW, C / groups].
template <typename Code>
const Code* window_lines(const ConvShape& s, const std::uint8_t* image, std::uint8_t x_zero_point, std::int64_t first,
                         std::int64_t count, std::int64_t group) {
  const std::int64_t channels = s.c / s.groups;
  Code* const windows = line_memory<Code>(count * s.out_w() * s.kw * channels);
  Code* to = windows;
  for (std::int64_t i = first; i < first + count; ++i) {
    for (std::int64_t pixel = 0; pixel < s.out_w(); ++pixel) {
      for (std::int64_t j = 0; j < s.kw; ++j, to += channels) {
        const std::int64_t column = pixel * s.stride_w - s.padding.left + j * s.dilation_w;
        if (i < 0 || i >= s.h || column < 0 || column >= s.w) {
          std::fill_n(to, channels, Code{x_zero_point});
        } else {
          copy_codes(image + (i * s.w + column) * s.c + group * channels, channels, to);
        }
      }
    }
  }
  return windows;
}

/// Runs the kernels of a row of Int8Kernels on tiles of `count` pixels, of sizes that differ by one at most. Leaves
/// `tile` behind the last one.
void run_tiles(Int8Tile& tile, std::int64_t count, std::span<const Int8Kernel> kernels, std::int64_t x_step) {
  const auto most = static_cast<std::int64_t>(kernels.size());
  const std::int64_t tiles = (count + most - 1) / most;
  const std::int64_t size = count / tiles;
  const std::int64_t larger = count % tiles;
  for (std::int64_t i = 0; i < tiles; ++i) {
    const std::int64_t pixels = i < larger ? size + 1 : size;
    kernels[static_cast<std::size_t>(pixels - 1)](tile);
    tile.x += pixels * x_step;
    tile.y += pixels * tile.y_stride;
    tile.other += tile.other == nullptr ? 0 : pixels * tile.y_stride;
    tile.observation.mask += pixels * tile.observation.mask_stride;
  }
}

/// As many as tiles have; of a convolution's fewer, if tiles then take a line of results at once: the weights of a
/// block, which each line reads anew, rather stay in the first cache.
std::int64_t vectors_of_block(const ConvShape& s, const Int8Unit& unit, bool pool) {
  const Int8Kernels& kernels = pool ? unit.pooled : unit.codes;
  const std::int64_t most = most_vectors(kernels);
  const auto fits = [&](std::int64_t vectors) {
    return static_cast<std::int64_t>(kernels[static_cast<std::size_t>(vectors - 1)].size()) >= s.out_w();
  };
  std::int64_t vectors = most;
  while (vectors > 2 && !fits(vectors)) {
    --vectors;
  }
  return s.is_matmul() || pool || vectors < 2 || !fits(vectors) ? most : vectors;
}

}  // namespace

/// The window of the first pixel of the first line, and the bytes to the next line and pixel.
struct Int8Product::Lines {
  const std::uint8_t* first;
  std::int64_t line, pixel;
};

Int8Product::Int8Product(const ConvShape& shape, const std::int8_t* weight, bool pool)
    : shape_(shape),
      unit_(&int8_unit()),
      pool_(pool),
      are_windows_(shape.groups > 1 || (shape.dilation_w > 1 && shape.kw > 1)),
      vectors_((shape.o / shape.groups + unit_->lanes - 1) / unit_->lanes),
      steps_((shape.kw * (shape.c / shape.groups) * unit_->code_bytes + kStepBytes - 1) / kStepBytes),
      blocks_(slice_rows(vectors_, vectors_of_block(shape, *unit_, pool))),
      weight_bytes_(static_cast<std::size_t>(lanes() * shape.kh * steps_ * kStepBytes)),
      sums_(static_cast<std::size_t>(lanes())) {
  weight_ = allocate_aligned(weight_bytes_);
  std::memset(weight_.get(), 0, weight_bytes_);
  const std::int64_t count = shape.groups * blocks_.count;
  const Slices slices = slice_by_bytes(count, static_cast<std::int64_t>(weight_bytes_) / count);
  parallel_slices(slices.count, [&](std::int64_t slice) {
    for (std::int64_t i = slices[slice].begin; i < slices[slice].end; ++i) {
      pack(weight, i / blocks_.count, i % blocks_.count);
    }
  });
}

void Int8Product::pack(const std::int8_t* weight, std::int64_t group, std::int64_t block) {
  const std::int64_t depth = shape_.depth();
  const std::int64_t row = depth / shape_.kh;
  const std::int64_t outputs = shape_.o / shape_.groups;
  const Range vectors = blocks_[block];
  const std::int64_t stride = vectors.size() * unit_->lanes * kStepBytes;
  const std::int64_t first_lane = (group * vectors_ + vectors.begin) * unit_->lanes;
  std::byte* const packed = weight_.get() + first_lane * shape_.kh * steps_ * kStepBytes;
  const std::int64_t count = std::min(vectors.size() * unit_->lanes, outputs - vectors.begin * unit_->lanes);
  const std::int8_t* const first = weight + (group * outputs + vectors.begin * unit_->lanes) * depth;
  for (std::int64_t i = 0; i < shape_.kh; ++i) {
    // A few steps of all outputs, then the next ones: what they are scattered to stays in the first cache.
    for (std::int64_t k = 0; k < row; k += kPackedTogether) {
      std::byte* const to = packed + (i * steps_ + k * unit_->code_bytes / kStepBytes) * stride;
      const std::int64_t codes = std::min(kPackedTogether, row - k);
      std::int64_t packed_codes = 0;  // of the eight outputs that this one belongs to
      for (std::int64_t lane = 0; lane < count; ++lane) {
        const std::int8_t* const from = first + lane * depth + i * row + k;
        if (lane % 8 == 0) {
          packed_codes =
              lane + 8 <= count ? pack_eight(from, depth, codes, unit_->code_bytes, stride, to + lane * kStepBytes) : 0;
        }
        std::byte* const rest = to + packed_codes * unit_->code_bytes / kStepBytes * stride + lane * kStepBytes;
        unit_->code_bytes == 1 ? pack_row<std::int8_t>(from + packed_codes, codes - packed_codes, stride, rest)
                               : pack_row<std::int16_t>(from + packed_codes, codes - packed_codes, stride, rest);
      }
    }
  }
  for (std::int64_t lane = 0; lane < count; ++lane) {
    sums_[static_cast<std::size_t>(first_lane + lane)] = sum_of(first + lane * depth, depth);
  }
}

std::vector<std::int32_t> Int8Product::start(std::int32_t x_zero_point) const {
  std::vector<std::int32_t> start(sums_.size());
  std::ranges::transform(sums_, start.begin(), [&](std::int32_t sum) { return -sum * x_zero_point; });
  return start;
}

/// The lines of the image that the output lines see. They are the image's own where nothing has to be added; copies
/// with padding; or, where the channels of a window's row are not neighbours, the windows themselves.
Int8Product::Lines Int8Product::lines_of(const std::uint8_t* image, std::uint8_t x_zero_point, Range lines,
                                         std::int64_t group) const {
  const ConvShape& s = shape_;
  const std::int64_t bytes = unit_->code_bytes;
  const std::int64_t first = lines.begin * s.stride_h - s.padding.top;
  const std::int64_t count = (lines.size() - 1) * s.stride_h + s.dilation_h * (s.kh - 1) + 1;
  if (are_windows_) {
    const std::int64_t window = s.kw * (s.c / s.groups) * bytes;
    const void* const windows =
        bytes == 1 ? static_cast<const void*>(window_lines<std::uint8_t>(s, image, x_zero_point, first, count, group))
                   : window_lines<std::uint16_t>(s, image, x_zero_point, first, count, group);
    return {static_cast<const std::uint8_t*>(windows), s.out_w() * window, window};
  }
  const std::int64_t line = (s.w + s.padding.w()) * s.c * bytes;
  const std::int64_t pixel = s.stride_w * s.c * bytes;
  // Tiles read whole groups of codes; behind an image there may be nothing, or another thread's work.
  if (bytes == 1 && s.padding == 0 && s.kw * s.c % kStepBytes == 0) {
    return {image + first * line, line, pixel};
  }
  const void* const padded =
      bytes == 1 ? static_cast<const void*>(padded_lines<std::uint8_t>(s, image, x_zero_point, first, count))
                 : padded_lines<std::uint16_t>(s, image, x_zero_point, first, count);
  return {static_cast<const std::uint8_t*>(padded), line, pixel};
}

/// See Int8Tile.
std::int64_t Int8Product::pixel_groups() const {
  const std::int64_t bytes = shape_.c * unit_->code_bytes;
  const bool is_shared = shape_.kw == 3 && shape_.stride_w == 1 && !are_windows_ && bytes % kStepBytes == 0;
  return is_shared ? bytes / kStepBytes : 0;
}

/// A tile of a block, for what does not depend on the place in the image.
Int8Tile Int8Product::tile_of(std::int64_t group, std::int64_t block, const Int8Results& results, std::uint8_t* y,
                              const std::uint8_t* other) const {
  const Range vectors = blocks_[block];
  const std::int64_t group_outputs = shape_.o / shape_.groups;
  const std::int64_t output = vectors.begin * unit_->lanes;
  const std::int64_t lane = group * vectors_ * unit_->lanes + output;
  Int8Tile tile{.kernel_rows = shape_.kh,
                .groups = steps_,
                .weight = reinterpret_cast<const std::int8_t*>(weight_.get()) + lane * shape_.kh * steps_ * kStepBytes,
                .start = results.start + lane,
                .requantization = results.requantization,
                .addition = results.addition,
                .reals = results.reals,
                .other = other == nullptr ? nullptr : other + group * group_outputs + output,
                .outputs = std::min(vectors.end * unit_->lanes, group_outputs) - output,
                .y = y + (group * group_outputs + output) * results.bytes,
                .y_stride = shape_.o * results.bytes};
  if (results.bytes == 1) {
    tile.requantization.bias += lane;
    tile.requantization.multiplier += lane;
  }
  if (results.reals.scale != nullptr) {
    tile.reals.scale += lane;
    tile.reals.bias += lane;
  }
  return tile;
}

void Int8Product::run_image(const std::uint8_t* x, std::uint8_t x_zero_point, Range lines, const Int8Results& results,
                            std::uint8_t* y, const std::uint8_t* other, const TileObservation* observation) const {
  const std::int64_t step = pool_ ? 2 : 1;
  const std::int64_t width = shape_.out_w() / step;
  const Range seen{lines.begin * step, lines.end * step};
  // Lines of pixels that see one pixel each are one long line.
  const bool is_one_line = shape_.is_matmul() && !pool_;
  const std::int64_t line_count = is_one_line ? 1 : lines.size();
  const std::int64_t pixels = is_one_line ? lines.size() * width : width;
  for (std::int64_t group = 0; group < shape_.groups; ++group) {
    const Lines from = lines_of(x, x_zero_point, seen, group);
    for (std::int64_t block = 0; block < blocks_.count; ++block) {
      const std::int64_t first_output = lines.begin * width * shape_.o * results.bytes;
      Int8Tile tile =
          tile_of(group, block, results, y + first_output, other == nullptr ? nullptr : other + first_output);
      tile.pixel_stride = from.pixel;
      tile.pixel_groups = pixel_groups();
      tile.line_stride = shape_.stride_h * from.line;
      tile.kernel_row_stride = shape_.dilation_h * from.line;
      if (observation != nullptr) {
        const std::int64_t first = blocks_[block].begin * unit_->lanes;
        tile.observation = *observation;
        tile.observation.real_scale += first;
        tile.observation.mask += observation->mask_stride == 0 ? 0 : first / 8;
      }
      const auto kernels = (unit_->*results.kernels)[static_cast<std::size_t>(blocks_[block].size() - 1)];
      for (std::int64_t i = 0; i < line_count; ++i) {
        tile.x = from.first + i * step * shape_.stride_h * from.line;
        run_tiles(tile, pixels, kernels, step * from.pixel);
      }
    }
  }
}

void Int8Product::run_rows(const std::uint8_t* x, std::int64_t rows, Range blocks, const Int8Results& results,
                           std::uint8_t* y, const std::uint8_t* other) const {
  const std::int64_t row = shape_.c * unit_->code_bytes;
  const bool is_copied = row % kStepBytes != 0 || unit_->code_bytes > 1;
  const std::int64_t chunk = is_copied ? std::clamp<std::int64_t>(kRowBytes / row, 1, rows) : rows;
  for (std::int64_t first = 0; first < rows; first += chunk) {
    const std::int64_t count = std::min(chunk, rows - first);
    const std::uint8_t* from = x + first * shape_.c;
    if (is_copied && unit_->code_bytes == 1) {
      auto* const copy = line_memory<std::uint8_t>(count * shape_.c);
      copy_codes(from, count * shape_.c, copy);
      from = copy;
    } else if (is_copied) {
      auto* const copy = line_memory<std::uint16_t>(count * shape_.c);
      copy_codes(from, count * shape_.c, copy);
      from = reinterpret_cast<const std::uint8_t*>(copy);
    }
    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
      const std::int64_t first_output = first * shape_.o * results.bytes;
      Int8Tile tile = tile_of(0, block, results, y + first_output, other == nullptr ? nullptr : other + first_output);
      tile.x = from;
      tile.pixel_stride = row;
      run_tiles(tile, count, (unit_->*results.kernels)[static_cast<std::size_t>(blocks_[block].size() - 1)], row);
    }
  }
}

}  // namespace detent::kernels
