#include "detent/kernels/product/hybrid/weight_only_product.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "detent/core/memory.h"
#include "detent/kernels/product/hybrid/weight_only_tile.h"

namespace detent::kernels {
namespace {

using weight_only::kBlockBytes;
using weight_only::kLanes;
using weight_only::kTogether;

/// Outputs of a part of a linear layer.
constexpr std::int64_t kPartOutputs = 16;

int bits_of(CodeRange codes) { return codes.qmax <= 1 ? 2 : codes.qmax <= 7 ? 4 : 8; }

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace

WeightOnlyProduct::WeightOnlyProduct(const ConvShape& shape, const std::int8_t* weight, const QParams& map,
                                     std::span<const float> bias, bool relu)
    : shape_(shape),
      lowest_(relu ? 0.0F : -std::numeric_limits<float>::infinity()),
      bits_(bits_of(map.codes)),
      size_(map.is_per_group() ? map.group : shape.c / shape.groups),
      groups_(map.groups),
      bias_(bias.begin(), bias.end()) {
  shape.validate();
  const std::int64_t channels = shape.c / shape.groups;
  const std::int64_t block = kLanes * 8 / bits_;
  const std::int64_t taps = shape.kh * shape.kw;
  blocks_ = divide_up(std::min(size_, channels) * taps, block);
  last_blocks_ = divide_up((channels - (groups_ - 1) * size_) * taps, block);
  width_ = ((groups_ - 1) * blocks_ + last_blocks_) * block;
  bias_.resize(static_cast<std::size_t>(shape.o), 0.0F);
  for (std::int64_t o = 0; o < shape.o; ++o) {
    for (std::int64_t g = 0; g < groups_; ++g) {
      const auto output = static_cast<std::size_t>(o);
      scale_.push_back(map.scale_of(output, g));
    }
  }
  weight_ = allocate_aligned(weight_bytes());
  std::memset(weight_.get(), 0, weight_bytes());
  for (std::int64_t o = 0; o < shape.o; ++o) {
    pack(weight + o * shape.depth(), o);
  }
}

/// A row of weights [KH, KW, I], group by group.
void WeightOnlyProduct::pack(const std::int8_t* weight, std::int64_t output) {
  const std::int64_t channels = shape_.c / shape_.groups;
  const int codes = 8 / bits_;
  const int bias = bits_ == 8 ? 0 : 1 << (bits_ - 1);
  const int mask = (1 << bits_) - 1;
  auto* const packed = reinterpret_cast<std::uint8_t*>(weight_.get()) +
                       output / kTogether * kTogether * width_ / codes + output % kTogether * kBlockBytes;
  const auto put = [&](std::int64_t k, int code) {
    const std::int64_t block = k / (kLanes * codes), within = k % (kLanes * codes);
    std::uint8_t& byte = packed[block * kTogether * kBlockBytes + within % kLanes];
    byte = static_cast<std::uint8_t>(byte | ((code + bias) & mask) << (bits_ * (within / kLanes)));
  };
  const std::int64_t block = kLanes * codes;
  for (std::int64_t g = 0; g < groups_; ++g) {
    const std::int64_t first = g * size_;
    const std::int64_t count = std::min(size_, channels - first);
    const std::int64_t begin = g * blocks_ * block;
    const std::int64_t end = begin + (g + 1 < groups_ ? blocks_ : last_blocks_) * block;
    std::int64_t k = begin;
    for (std::int64_t tap = 0; tap < shape_.kh * shape_.kw; ++tap) {
      for (std::int64_t c = 0; c < count; ++c, ++k) {
        put(k, weight[tap * channels + first + c]);
      }
    }
    for (; k < end; ++k) {
      put(k, 0);
    }
  }
}

/// The window of an output pixel for a convolution group, group by group of weights, with 0 in padding and behind each
/// group.
void WeightOnlyProduct::gather(const float* image, std::int64_t row, std::int64_t column, std::int64_t group,
                               float* to) const {
  const std::int64_t channels = shape_.c / shape_.groups;
  const std::int64_t block = kLanes * 8 / bits_;
  for (std::int64_t g = 0; g < groups_; ++g) {
    const std::int64_t first = g * size_;
    const std::int64_t count = std::min(size_, channels - first);
    float* at = to + g * blocks_ * block;
    float* const end = at + (g + 1 < groups_ ? blocks_ : last_blocks_) * block;
    for (std::int64_t i = 0; i < shape_.kh; ++i) {
      const std::int64_t y = row * shape_.stride_h - shape_.padding.top + i * shape_.dilation_h;
      for (std::int64_t j = 0; j < shape_.kw; ++j, at += count) {
        const std::int64_t x = column * shape_.stride_w - shape_.padding.left + j * shape_.dilation_w;
        if (y < 0 || y >= shape_.h || x < 0 || x >= shape_.w) {
          std::fill_n(at, count, 0.0F);
        } else {
          std::copy_n(image + (y * shape_.w + x) * shape_.c + group * channels + first, count, at);
        }
      }
    }
    std::fill(at, end, 0.0F);
  }
}

/// Of at most as many rows as tiles have. `y` is of the first row, of all outputs.
void WeightOnlyProduct::multiply(const float* x, std::int64_t rows, Range outputs, float* y) const {
  const weight_only::Tile tile{.x = x,
                               .x_stride = width_,
                               .weight = reinterpret_cast<const std::uint8_t*>(weight_.get()),
                               .weight_row = width_ * bits_ / 8,
                               .groups = groups_,
                               .blocks = blocks_,
                               .last_blocks = last_blocks_,
                               .scale = scale_.data(),
                               .bias = bias_.data(),
                               .first = outputs.begin,
                               .end = outputs.end,
                               .lowest = lowest_,
                               .y = y,
                               .y_stride = shape_.o};
  const std::size_t bits = bits_ == 8 ? 0 : bits_ == 4 ? 1 : 2;
  weight_only::unit().kernels[bits][static_cast<std::size_t>(rows - 1)](tile);
}

void WeightOnlyProduct::run_rows(const float* x, std::int64_t rows, Range outputs, float* y) const {
  const std::int64_t most = weight_only::unit().rows;
  auto* const numbers = thread_scratch_of<float>(static_cast<std::size_t>(most * width_), Scratch::ProductPadded);
  for (std::int64_t first = 0; first < rows; first += most) {
    const std::int64_t count = std::min(most, rows - first);
    for (std::int64_t row = 0; row < count; ++row) {
      gather(x + (first + row) * shape_.c, 0, 0, 0, numbers + row * width_);
    }
    multiply(numbers, count, outputs, y + first * shape_.o);
  }
}

void WeightOnlyProduct::run_lines(const float* image, Range lines, float* y) const {
  const std::int64_t most = weight_only::unit().rows;
  const std::int64_t width = shape_.out_w();
  const std::int64_t outputs = shape_.o / shape_.groups;
  auto* const numbers = thread_scratch_of<float>(static_cast<std::size_t>(most * width_), Scratch::ProductPadded);
  for (std::int64_t pixel = lines.begin * width; pixel < lines.end * width; pixel += most) {
    const std::int64_t count = std::min(most, lines.end * width - pixel);
    for (std::int64_t group = 0; group < shape_.groups; ++group) {
      for (std::int64_t i = 0; i < count; ++i) {
        gather(image, (pixel + i) / width, (pixel + i) % width, group, numbers + i * width_);
      }
      multiply(numbers, count, {group * outputs, (group + 1) * outputs}, y + pixel * shape_.o);
    }
  }
}

std::int64_t WeightOnlyProduct::parts() const {
  return shape_.is_linear() ? divide_up(shape_.o, kPartOutputs) : shape_.out_h();
}

void WeightOnlyProduct::run(const float* x, std::int64_t images, Range parts, float* y) const {
  if (shape_.is_linear()) {
    run_rows(x, images, {parts.begin * kPartOutputs, std::min(parts.end * kPartOutputs, shape_.o)}, y);
    return;
  }
  for (std::int64_t i = 0; i < images; ++i) {
    run_lines(x + i * shape_.input_row(), parts, y + i * shape_.output_row());
  }
}

std::size_t WeightOnlyProduct::weight_bytes() const {
  return static_cast<std::size_t>(divide_up(shape_.o, kTogether) * kTogether * width_ * bits_ / 8);
}

std::size_t WeightOnlyProduct::bytes() const { return weight_bytes() + (scale_.size() + bias_.size()) * sizeof(float); }

std::vector<std::span<std::byte>> WeightOnlyProduct::memory_for_tests() const {
  auto& self = const_cast<WeightOnlyProduct&>(*this);
  return {{weight_.get(), weight_bytes()},
          std::as_writable_bytes(std::span(self.scale_)),
          std::as_writable_bytes(std::span(self.bias_))};
}

}  // namespace detent::kernels
