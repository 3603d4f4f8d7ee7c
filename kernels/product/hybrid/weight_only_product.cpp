#include "detent/kernels/product/hybrid/weight_only_product.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "detent/core/conversion.h"
#include "detent/core/divide_up.h"
#include "detent/core/error.h"
#include "detent/core/memory.h"

namespace detent::kernels {
namespace {

using weight_only::Chunk;
using weight_only::kChunk;
using weight_only::kLanes;
using weight_only::numbers_of_word;
using weight_only::Unit;
using weight_only::Work;

/// Outputs of a part of a linear layer.
constexpr std::int64_t kPartOutputs = 64;
/// Rows that share what is made of weights, and the most numbers of windows of a convolution among them.
constexpr std::int64_t kRowsTogether = 12 * weight_only::kMostRows;
/// As many rows as this make numbers of weights each time anew, in registers.
constexpr std::int64_t kDirectRows = 2 * weight_only::kMostDirectRows;
constexpr std::int64_t kWindowNumbers = 64 * 1024;

int bits_of(CodeRange codes) { return codes.qmax <= 1 ? 2 : codes.qmax <= 7 ? 4 : 8; }
std::size_t index_of(int bits) { return bits == 8 ? 0 : bits == 4 ? 1 : 2; }

/// The numbers that lie in a whole of memory: what chunks are filled up to.
std::int64_t numbers_of_whole(int bits) { return bits == 8 ? 2 : numbers_of_word(bits); }

}  // namespace

WeightOnlyProduct::WeightOnlyProduct(const ConvShape& shape, const std::int8_t* weight, const QParams& map,
                                     std::span<const float> bias, bool relu, DType x)
    : shape_(shape),
      lowest_(relu ? 0.0F : -std::numeric_limits<float>::infinity()),
      x_(x),
      bits_(bits_of(map.codes)),
      size_(map.is_per_group() ? map.group : shape.c / shape.groups),
      groups_(map.groups),
      bias_(bias.begin(), bias.end()) {
  shape.validate();
  check(x == DType::F32 || x == DType::BF16, "weight-only product: expected f32 or bf16, got ", x);
  cut(shape.c / shape.groups);
  bias_.resize(static_cast<std::size_t>(shape.o), 0.0F);
  blocks_ = divide_up(outputs_of_group(), kLanes);
  const std::int64_t blocks = blocks_ * shape.groups;
  scale_.resize(static_cast<std::size_t>(blocks * groups_ * kLanes), 0.0F);
  weight_bytes_ = static_cast<std::size_t>(blocks * block_bytes_);
  weight_ = allocate_aligned(weight_bytes_);
  std::memset(weight_.get(), 0, weight_bytes_);
  for (std::int64_t o = 0; o < shape.o; ++o) {
    const std::int64_t lane = o % outputs_of_group() % kLanes;
    for (std::int64_t g = 0; g < groups_; ++g) {
      scale_[static_cast<std::size_t>((block_of(o) * groups_ + g) * kLanes + lane)] =
          map.scale_of(static_cast<std::size_t>(o), g);
    }
    pack(weight + o * shape.depth(), o);
  }
}

/// Makes the chunks of a row.
void WeightOnlyProduct::cut(std::int64_t channels) {
  std::int64_t x = 0;
  for (std::int64_t g = 0; g < groups_; ++g) {
    const std::int64_t end = std::min(size_, channels - g * size_) * shape_.kh * shape_.kw;
    for (std::int64_t first = 0; first < end; first += kChunk) {
      const std::int64_t numbers = std::min(kChunk, end - first);
      chunks_.push_back({.weight = block_bytes_, .x = x, .numbers = numbers, .group = g});
      x += numbers;
      block_bytes_ += round_up(numbers, numbers_of_whole(bits_)) * kLanes * bits_ / 8;
    }
  }
}

std::int64_t WeightOnlyProduct::block_of(std::int64_t output) const {
  return output / outputs_of_group() * blocks_ + output % outputs_of_group() / kLanes;
}

/// A row of weights [KH, KW, I], group by group.
void WeightOnlyProduct::pack(const std::int8_t* weight, std::int64_t output) {
  const std::int64_t channels = shape_.c / shape_.groups;
  const std::int64_t lane = output % outputs_of_group() % kLanes;
  auto* const block = reinterpret_cast<std::uint8_t*>(weight_.get()) + block_of(output) * block_bytes_;
  const auto put = [&](const Chunk& chunk, std::int64_t i, int code) {
    if (bits_ == 8) {
      block[chunk.weight + i * kLanes + lane] = static_cast<std::uint8_t>(code);
      return;
    }
    const std::int64_t word = i / numbers_of_word(bits_), of_word = i % numbers_of_word(bits_), pair = of_word / 2;
    std::uint8_t* const at = block + chunk.weight + (word * kLanes + lane) * std::int64_t{sizeof(std::uint32_t)};
    const int middle = 1 << (bits_ - 1);
    const auto stored = static_cast<std::uint32_t>(pair % 2 == 0 ? middle + code : middle - code);
    std::uint32_t codes = 0;
    std::memcpy(&codes, at, sizeof(codes));
    codes |= stored << (16 * (of_word % 2) + bits_ * pair);
    std::memcpy(at, &codes, sizeof(codes));
  };
  auto chunk = chunks_.begin();
  for (std::int64_t g = 0, i = 0; g < groups_; ++g, ++chunk, i = 0) {
    const std::int64_t first = g * size_;
    const std::int64_t count = std::min(size_, channels - first);
    for (std::int64_t tap = 0; tap < shape_.kh * shape_.kw; ++tap) {
      for (std::int64_t c = 0; c < count; ++c, ++i) {
        if (i == kChunk) {
          ++chunk;
          i = 0;
        }
        put(*chunk, i, weight[tap * channels + first + c]);
      }
    }
  }
}

/// The window of an output pixel for a convolution group, group by group of weights, with 0 in padding.
void WeightOnlyProduct::gather(const float* image, std::int64_t row, std::int64_t column, std::int64_t group,
                               float* to) const {
  const std::int64_t channels = shape_.c / shape_.groups;
  for (std::int64_t g = 0; g < groups_; ++g) {
    const std::int64_t first = g * size_;
    const std::int64_t count = std::min(size_, channels - first);
    for (std::int64_t i = 0; i < shape_.kh; ++i) {
      const std::int64_t y = row * shape_.stride_h - shape_.padding.top + i * shape_.dilation_h;
      for (std::int64_t j = 0; j < shape_.kw; ++j, to += count) {
        const std::int64_t x = column * shape_.stride_w - shape_.padding.left + j * shape_.dilation_w;
        if (y < 0 || y >= shape_.h || x < 0 || x >= shape_.w) {
          std::fill_n(to, count, 0.0F);
        } else {
          std::copy_n(image + (y * shape_.w + x) * shape_.c + group * channels + first, count, to);
        }
      }
    }
  }
}

/// Makes of rows [rows, depth] what the unit takes, which is valid until the next call on this thread: them as they
/// are, or [chunk][row], so that the rows of a chunk are neighbours, which pays off where they are read again and
/// again.
void WeightOnlyProduct::set_rows(Work& work, const float* x, std::int64_t rows, std::int64_t outputs) const {
  const Unit& unit = weight_only::unit(x_ == DType::BF16);
  const weight_only::Prepare prepare = unit.prepare[index_of(bits_)];
  const std::int64_t depth = shape_.depth();
  const bool are_read_often = rows > kDirectRows && outputs > kPartOutputs;
  if (x_ == DType::F32 && prepare == nullptr && !are_read_often) {
    work.x = reinterpret_cast<const std::byte*>(x);
    work.x_stride = depth * std::int64_t{sizeof(float)};
    return;
  }
  const std::int64_t bytes = unit.takes_bf16 ? std::int64_t{sizeof(bfloat16)} : std::int64_t{sizeof(float)};
  const auto count = static_cast<std::int64_t>(chunks_.size());
  const std::int64_t of_numbers = count * rows * kChunk * bytes;
  std::byte* const memory =
      thread_scratch(static_cast<std::size_t>(of_numbers + (count * rows + depth) * std::int64_t{sizeof(float)}),
                     Scratch::ProductConversion);
  auto* const start = reinterpret_cast<float*>(memory + of_numbers);
  const std::span<float> rounded(start + count * rows, static_cast<std::size_t>(depth));
  work.x = memory;
  work.x_stride = kChunk * bytes;
  work.x_chunk = rows * work.x_stride;
  work.start = prepare == nullptr ? nullptr : start;
  for (std::int64_t row = 0; row < rows; ++row) {
    const float* from = x + row * depth;
    std::byte* to = memory + row * work.x_stride;
    if (x_ == DType::BF16 && !unit.takes_bf16) {
      std::copy_n(from, depth, rounded.begin());
      round_to_bfloat16(rounded);
      from = rounded.data();
    }
    if (prepare != nullptr) {
      prepare(chunks_.data(), count, from, reinterpret_cast<float*>(to), rows * kChunk, start + row * count);
      continue;
    }
    for (const Chunk& chunk : chunks_) {
      const std::span<const float> numbers(from + chunk.x, static_cast<std::size_t>(chunk.numbers));
      if (unit.takes_bf16) {
        auto* const pairs = reinterpret_cast<bfloat16*>(to);
        pairs[round_up(chunk.numbers, 2) - 1] = bfloat16(0.0F);
        convert(numbers, pairs);
      } else {
        std::ranges::copy(numbers, reinterpret_cast<float*>(to));
      }
      to += work.x_chunk;
    }
  }
}

/// The totals of `blocks` blocks: one, or as many as a kernel takes.
void WeightOnlyProduct::multiply_blocks(const Work& work, std::int64_t rows, std::int64_t blocks) const {
  const Unit& unit = weight_only::unit(x_ == DType::BF16);
  const std::size_t bits = index_of(bits_), many = blocks == unit.blocks ? 1 : 0;
  if (rows <= kDirectRows) {
    for (std::int64_t row = 0; row < rows; row += weight_only::kMostDirectRows) {
      const auto count = static_cast<std::size_t>(std::min<std::int64_t>(weight_only::kMostDirectRows, rows - row));
      unit.direct[bits][count - 1][count == 1 ? (blocks == unit.row_blocks ? 1 : 0) : many](work, row);
    }
    return;
  }
  alignas(kAlignment) std::array<float, kChunk * kLanes * weight_only::kMostBlocks> panel;
  for (std::int64_t chunk = 0; chunk < work.chunk_count; ++chunk) {
    unit.unpack[bits][many](work, chunk, panel.data());
    for (std::int64_t row = 0; row < rows; row += unit.rows) {
      const auto count = static_cast<std::size_t>(std::min<std::int64_t>(unit.rows, rows - row));
      unit.multiply[count - 1][many](work, chunk, panel.data(), row);
    }
  }
}

/// y = total + bias, at least `lowest`; a NaN stays one.
void WeightOnlyProduct::finish(const float* total, std::int64_t rows, std::int64_t stride, Range outputs,
                               float* y) const {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o) {
      const float sum = total[row * stride + o - outputs.begin] + bias_[static_cast<std::size_t>(o)];
      y[row * shape_.o + o] = sum < lowest_ ? lowest_ : sum;
    }
  }
}

/// Rows [rows, depth] with outputs of one convolution group, which begin with a block. `y` is of the first row, of all
/// outputs.
void WeightOnlyProduct::multiply(const float* x, std::int64_t rows, Range outputs, float* y) const {
  const Unit& unit = weight_only::unit(x_ == DType::BF16);
  const std::int64_t most = rows == 1 ? unit.row_blocks : unit.blocks;
  Work work{.block_bytes = block_bytes_,
            .chunks = chunks_.data(),
            .chunk_count = static_cast<std::int64_t>(chunks_.size()),
            .groups = groups_};
  set_rows(work, x, rows, outputs.size());
  work.total = thread_scratch_of<float>(static_cast<std::size_t>(rows * most * kLanes), Scratch::ProductSums);
  for (std::int64_t o = outputs.begin; o < outputs.end;) {
    const std::int64_t blocks = outputs.end - o > (most - 1) * kLanes ? most : 1;
    const std::int64_t lanes = blocks * kLanes;
    const Range of_blocks{o, std::min(outputs.end, o + lanes)};
    work.weight = reinterpret_cast<const std::uint8_t*>(weight_.get()) + block_of(o) * block_bytes_;
    work.scale = scale_.data() + block_of(o) * groups_ * kLanes;
    multiply_blocks(work, rows, blocks);
    finish(work.total, rows, lanes, of_blocks, y);
    o = of_blocks.end;
  }
}

void WeightOnlyProduct::run_rows(const float* x, std::int64_t rows, Range outputs, float* y) const {
  for (std::int64_t first = 0; first < rows; first += kRowsTogether) {
    multiply(x + first * shape_.c, std::min(kRowsTogether, rows - first), outputs, y + first * shape_.o);
  }
}

void WeightOnlyProduct::run_lines(const float* image, Range lines, float* y) const {
  const std::int64_t depth = shape_.depth();
  const std::int64_t most = std::clamp<std::int64_t>(kWindowNumbers / depth, weight_only::kMostRows, kRowsTogether);
  const std::int64_t width = shape_.out_w();
  auto* const windows = thread_scratch_of<float>(static_cast<std::size_t>(most * depth), Scratch::ProductPadded);
  for (std::int64_t pixel = lines.begin * width; pixel < lines.end * width; pixel += most) {
    const std::int64_t count = std::min(most, lines.end * width - pixel);
    for (std::int64_t group = 0; group < shape_.groups; ++group) {
      for (std::int64_t i = 0; i < count; ++i) {
        gather(image, (pixel + i) / width, (pixel + i) % width, group, windows + i * depth);
      }
      multiply(windows, count, {group * outputs_of_group(), (group + 1) * outputs_of_group()}, y + pixel * shape_.o);
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

std::size_t WeightOnlyProduct::bytes() const { return weight_bytes_ + (scale_.size() + bias_.size()) * sizeof(float); }

std::vector<std::span<std::byte>> WeightOnlyProduct::memory_for_tests() const {
  auto& self = const_cast<WeightOnlyProduct&>(*this);
  return {{weight_.get(), weight_bytes_},
          std::as_writable_bytes(std::span(self.scale_)),
          std::as_writable_bytes(std::span(self.bias_))};
}

}  // namespace detent::kernels
