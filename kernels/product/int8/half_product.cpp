#include "detent/kernels/product/int8/half_product.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <span>

#include "detent/core/memory.h"
#include "detent/kernels/product/int8/half_tile.h"

namespace detent::kernels {
namespace {

/// Of a group of codes, and of a weight's lane.
constexpr std::int64_t kStepBytes = 4;
/// Rows that are copied at a time.
constexpr std::int64_t kRowBytes = 64 * 1024;

}  // namespace

bool HalfProduct::serves(const ConvShape& shape, const std::int8_t* weight) {
  constexpr std::int64_t kMostDepth = std::numeric_limits<std::int32_t>::max() / (255 * 8 * 16);
  return half_unit() != nullptr && shape.is_linear() && shape.depth() <= kMostDepth &&
         std::ranges::all_of(std::span(weight, static_cast<std::size_t>(shape.weight_elements())),
                             [](std::int8_t w) { return -8 <= w && w <= 7; });
}

HalfProduct::HalfProduct(const ConvShape& shape, const std::int8_t* weight)
    : shape_(shape),
      unit_(half_unit()),
      vectors_((shape.o + unit_->lanes - 1) / unit_->lanes),
      steps_((shape.c + kStepBytes - 1) / kStepBytes),
      blocks_(slice_rows(vectors_, most_vectors(unit_->codes))),
      weight_bytes_(static_cast<std::size_t>(lanes() * ((steps_ + 1) / 2) * kStepBytes)),
      sums_(static_cast<std::size_t>(lanes())) {
  weight_ = allocate_aligned(weight_bytes_);
  std::memset(weight_.get(), 0, weight_bytes_);
  pack(weight);
}

void HalfProduct::pack(const std::int8_t* weight) {
  auto* const packed = reinterpret_cast<std::uint8_t*>(weight_.get());
  for (std::int64_t block = 0; block < blocks_.count; ++block) {
    const std::int64_t first = blocks_[block].begin * unit_->lanes;
    const std::int64_t lanes_of_block = blocks_[block].size() * unit_->lanes;
    std::uint8_t* const of_block = packed + first * ((steps_ + 1) / 2) * kStepBytes;
    for (std::int64_t lane = 0; lane < std::min(lanes_of_block, shape_.o - first); ++lane) {
      const std::int8_t* const from = weight + (first + lane) * shape_.c;
      sums_[static_cast<std::size_t>(first + lane)] = std::accumulate(from, from + shape_.c, 0);
      for (std::int64_t k = 0; k < shape_.c; ++k) {
        const std::int64_t step = k / kStepBytes;
        const int half = static_cast<std::uint8_t>(from[k]) & 15;
        of_block[(step / 2 * lanes_of_block + lane) * kStepBytes + k % kStepBytes] |=
            static_cast<std::uint8_t>(step % 2 == 0 ? half : half << 4);
      }
    }
  }
}

std::vector<std::int32_t> HalfProduct::start(std::int32_t x_zero_point) const {
  std::vector<std::int32_t> start(sums_.size());
  std::ranges::transform(sums_, start.begin(), [&](std::int32_t sum) { return -sum * x_zero_point; });
  return start;
}

/// Tiles of rows whose sizes differ by one at most.
void HalfProduct::run_block(std::int64_t block, const std::uint8_t* x, std::int64_t rows, const Int8Results& results,
                            std::uint8_t* y, const std::uint8_t* other) const {
  const Range vectors = blocks_[block];
  const std::int64_t output = vectors.begin * unit_->lanes;
  Int8Tile tile{
      .x = x,
      .pixel_stride = shape_.c,
      .groups = steps_,
      .weight = reinterpret_cast<const std::int8_t*>(weight_.get()) + output * ((steps_ + 1) / 2) * kStepBytes,
      .start = results.start + output,
      .requantization = results.requantization,
      .addition = results.addition,
      .other = other == nullptr ? nullptr : other + output,
      .outputs = std::min(vectors.end * unit_->lanes, shape_.o) - output,
      .y = y + output,
      .y_stride = shape_.o};
  tile.requantization.bias += output;
  tile.requantization.multiplier += output;
  const auto kernels = (unit_->*results.kernels)[static_cast<std::size_t>(vectors.size() - 1)];
  const auto most = static_cast<std::int64_t>(kernels.size());
  const std::int64_t tiles = (rows + most - 1) / most;
  for (std::int64_t i = 0; i < tiles; ++i) {
    const std::int64_t count = rows / tiles + (i < rows % tiles ? 1 : 0);
    kernels[static_cast<std::size_t>(count - 1)](tile);
    tile.x += count * shape_.c;
    tile.y += count * shape_.o;
    tile.other += tile.other == nullptr ? 0 : count * shape_.o;
  }
}

void HalfProduct::run_rows(const std::uint8_t* x, std::int64_t rows, Range blocks, const Int8Results& results,
                           std::uint8_t* y, const std::uint8_t* other) const {
  // Tiles read whole groups of codes; behind the last row there may be nothing, or another thread's work.
  const bool is_copied = shape_.c % kStepBytes != 0;
  const std::int64_t chunk = is_copied ? std::clamp<std::int64_t>(kRowBytes / shape_.c, 1, rows) : rows;
  for (std::int64_t first = 0; first < rows; first += chunk) {
    const std::int64_t count = std::min(chunk, rows - first);
    const std::uint8_t* from = x + first * shape_.c;
    if (is_copied) {
      auto* const copy = thread_scratch_of<std::uint8_t>(static_cast<std::size_t>(count * shape_.c + kStepBytes),
                                                         Scratch::ProductInput);
      std::copy_n(from, count * shape_.c, copy);
      from = copy;
    }
    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
      run_block(block, from, count, results, y + first * shape_.o,
                other == nullptr ? nullptr : other + first * shape_.o);
    }
  }
}

}  // namespace detent::kernels
