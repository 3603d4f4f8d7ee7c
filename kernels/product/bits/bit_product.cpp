#include "detent/kernels/product/bits/bit_product.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "detent/core/memory.h"
#include "detent/core/processor/vectorized.h"
#include "detent/kernels/product/bits/bit_planes.h"

namespace detent::kernels {
namespace {

constexpr std::int64_t kGroupBytes = 4;
/// Behind bits: what tiles read beyond a window, and packing writes beyond a pixel.
constexpr std::int64_t kSlack = 8;
/// Rows of a linear layer that are packed at a time.
constexpr std::int64_t kRowBytes = 64 * 1024;

std::span<const std::int8_t> all_of(const ConvShape& shape, const std::int8_t* weight) {
  return {weight, static_cast<std::size_t>(shape.weight_elements())};
}

int planes_of(std::int32_t x_qmax) { return x_qmax > 1 ? 2 : 1; }
int masks_of(const ConvShape& shape, const std::int8_t* weight) {
  return std::ranges::find(all_of(shape, weight), std::int8_t{0}) == all_of(shape, weight).end() ? 1 : 2;
}

std::int64_t groups_of_row(const ConvShape& shape) {
  return (shape.kw * bytes_of_bits(shape.c) + kGroupBytes - 1) / kGroupBytes;
}

/// to[i] += from[i * stride]
DETENT_VECTORIZED void add_line(const std::int32_t* from, std::int64_t stride, std::int64_t count, std::int32_t* to) {
  if (stride == 1) {
    DETENT_INDEPENDENT
    for (std::int64_t i = 0; i < count; ++i) {
      to[i] += from[i];
    }
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    to[i] += from[i * stride];
  }
}

/// What is to be faster must be so by this factor, as estimated.
constexpr double kMargin = 0.95;

/// What Int8Product takes for four codes of eight outputs: see BitCost.
double cost_of_codes() {
  const Int8Unit& unit = int8_unit();
  const double of_vector = unit.code_bytes == 1 ? 1.85 : 4;
  return of_vector * 8 / static_cast<double>(unit.lanes);
}

}  // namespace

bool BitProduct::serves(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_qmax) {
  const bool is_dilated = shape.dilation_w > 1 && shape.kw > 1;
  return shape.groups == 1 && !is_dilated && 0 < x_qmax && x_qmax < 1 << kMostPlanes &&
         std::ranges::all_of(all_of(shape, weight), [](std::int8_t w) { return -1 <= w && w <= 1; });
}

bool BitProduct::is_faster(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_qmax) {
  const int planes = planes_of(x_qmax);
  const int masks = masks_of(shape, weight);
  const auto steps = static_cast<double>(shape.kh * ((shape.kw * shape.c + 3) / 4));
  const auto groups = static_cast<double>(shape.kh * groups_of_row(shape) * planes * masks);
  const BitCost& cost = bit_unit().cost;
  const double rows = static_cast<double>(shape.kh * planes) * cost.row;
  const double pack = cost.pixel * (masks == 1 ? planes + 1 : planes) / static_cast<double>((shape.o + 7) / 8);
  return groups * cost.group + rows + pack < kMargin * steps * cost_of_codes();
}

BitProduct::BitProduct(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_qmax, bool pool)
    : shape_(shape),
      planes_(planes_of(x_qmax)),
      masks_(masks_of(shape, weight)),
      pool_(pool),
      lanes_of_vector_(unit().lanes),
      pixel_bytes_(bytes_of_bits(shape.c)),
      groups_(groups_of_row(shape)),
      vectors_((shape.o + lanes_of_vector_ - 1) / lanes_of_vector_),
      blocks_(slice_rows(vectors_, most_vectors(pool ? unit().pooled : unit().codes))),
      weight_bytes_(static_cast<std::size_t>(lanes() * shape.kh * groups_ * masks_ * kGroupBytes)),
      sums_(static_cast<std::size_t>(lanes())) {
  weight_ = allocate_aligned(weight_bytes_);
  std::memset(weight_.get(), 0, weight_bytes_);
  pack(weight);
}

void BitProduct::pack(const std::int8_t* weight) {
  const std::int64_t row = shape_.kw * shape_.c;
  auto* const packed = reinterpret_cast<std::uint8_t*>(weight_.get());
  for (std::int64_t block = 0; block < blocks_.count; ++block) {
    const Range vectors = blocks_[block];
    const std::int64_t lanes_of_block = vectors.size() * lanes_of_vector_;
    const std::int64_t first = vectors.begin * lanes_of_vector_;
    const std::int64_t group_bytes = lanes_of_block * masks_ * kGroupBytes;
    std::uint8_t* const of_block = packed + first * shape_.kh * groups_ * masks_ * kGroupBytes;
    for (std::int64_t lane = 0; lane < std::min(lanes_of_block, shape_.o - first); ++lane) {
      const std::int8_t* const from = weight + (first + lane) * shape_.kh * row;
      sums_[static_cast<std::size_t>(first + lane)] = std::accumulate(from, from + shape_.kh * row, 0);
      // Of this output in the first group, its first mask.
      std::uint8_t* const of_lane =
          of_block + (lane / lanes_of_vector_ * masks_ * lanes_of_vector_ + lane % lanes_of_vector_) * kGroupBytes;
      for (std::int64_t k = 0; k < shape_.kh * row; ++k) {
        const std::int64_t place = k % row / shape_.c * pixel_bytes_ * 8 + k % shape_.c;  // of the bit in its row
        const std::int64_t group = k / row * groups_ + place / (8 * kGroupBytes);
        const std::int64_t mask = from[k] < 0 ? 1 : 0;
        if (from[k] != 0 && mask < masks_) {
          of_lane[group * group_bytes + mask * lanes_of_vector_ * kGroupBytes + place / 8 % kGroupBytes] |=
              static_cast<std::uint8_t>(1U << (place % 8));
        }
      }
    }
  }
}

std::vector<std::int32_t> BitProduct::start(std::int32_t x_zero_point) const {
  std::vector<std::int32_t> start(sums_.size());
  std::ranges::transform(sums_, start.begin(), [&](std::int32_t sum) { return -sum * x_zero_point; });
  return start;
}

/// The bit planes that the output lines see, and with one mask the sums of their windows.
struct BitProduct::Lines {
  const std::uint8_t* first;
  std::int64_t line, plane;
  const std::int32_t* totals;
  bool has_lower;  // bits of the lower plane
};

BitProduct::Lines BitProduct::lines_of(const std::uint8_t* image, std::uint8_t x_zero_point, Range lines) const {
  const ConvShape& s = shape_;
  const std::int64_t first = lines.begin * s.stride_h - s.padding.top;
  const std::int64_t count = (lines.size() - 1) * s.stride_h + s.dilation_h * (s.kh - 1) + 1;
  const std::int64_t width = s.w + s.padding.w();
  const std::int64_t line = width * pixel_bytes_;
  const std::int64_t plane = (count * line + kSlack + 3) / 4 * 4;
  const std::int64_t sums_size = masks_ == 1 ? count * width : 0;
  const std::int64_t totals_size = masks_ == 1 ? (count + lines.size()) * s.out_w() : 0;
  auto* const memory = thread_scratch_of<std::uint8_t>(
      static_cast<std::size_t>(planes_ * plane + (sums_size + totals_size) * 4), Scratch::ProductInput);
  auto* const sums = reinterpret_cast<std::int32_t*>(memory + planes_ * plane);
  PlanesOf to{.lower = memory, .upper = planes_ == 2 ? memory + plane : nullptr, .sums = masks_ == 1 ? sums : nullptr};
  const auto behind = [&](std::int64_t pixels) {
    to.lower += pixels * pixel_bytes_;
    to.upper += to.upper == nullptr ? 0 : pixels * pixel_bytes_;
    to.sums += to.sums == nullptr ? 0 : pixels;
  };
  bool has_lower = false;
  for (std::int64_t i = first; i < first + count; ++i) {
    if (i < 0 || i >= s.h) {
      has_lower |= fill_planes(x_zero_point, width, s.c, to);
      behind(width);
      continue;
    }
    has_lower |= fill_planes(x_zero_point, s.padding.left, s.c, to);
    behind(s.padding.left);
    has_lower |= pack_planes(image + i * s.w * s.c, s.w, s.c, to);
    behind(s.w);
    has_lower |= fill_planes(x_zero_point, s.padding.right, s.c, to);
    behind(s.padding.right);
  }
  std::int32_t* const totals = sums + sums_size;
  if (masks_ == 1) {
    add_windows(sums, width, lines.size(), totals + lines.size() * s.out_w(), totals);
  }
  return {memory, line, plane, totals, has_lower};
}

/// totals [lines, OW] of pixels' sums, by way of those of the windows' rows.
void BitProduct::add_windows(const std::int32_t* sums, std::int64_t width, std::int64_t lines, std::int32_t* row_totals,
                             std::int32_t* totals) const {
  const ConvShape& s = shape_;
  const std::int64_t out_w = s.out_w();
  const std::int64_t count = (lines - 1) * s.stride_h + s.dilation_h * (s.kh - 1) + 1;
  std::fill_n(row_totals, count * out_w, 0);
  for (std::int64_t i = 0; i < count; ++i) {
    for (std::int64_t j = 0; j < s.kw; ++j) {
      add_line(sums + i * width + j, s.stride_w, out_w, row_totals + i * out_w);
    }
  }
  std::fill_n(totals, lines * out_w, 0);
  for (std::int64_t line = 0; line < lines; ++line) {
    for (std::int64_t i = 0; i < s.kh; ++i) {
      add_line(row_totals + (line * s.stride_h + i * s.dilation_h) * out_w, 1, out_w, totals + line * out_w);
    }
  }
}

/// A tile of a block at the first of the lines. Codes of 0 and 2 alone, those of signs, are taken as one plane.
BitTile BitProduct::tile_of(std::int64_t block, const Int8Results& results, const Lines& lines, std::uint8_t* y,
                            const std::uint8_t* other) const {
  const Range vectors = blocks_[block];
  const std::int64_t output = vectors.begin * lanes_of_vector_;
  BitTile tile;
  tile.is_upper = planes_ == 2 && !lines.has_lower;
  tile.planes = tile.is_upper ? 1 : planes_;
  tile.plane_stride = lines.plane;
  tile.totals = lines.totals;
  tile.x = lines.first + (tile.is_upper ? lines.plane : 0);
  tile.kernel_rows = shape_.kh;
  tile.groups = groups_;
  tile.weight =
      reinterpret_cast<const std::int8_t*>(weight_.get()) + output * shape_.kh * groups_ * masks_ * kGroupBytes;
  tile.start = results.start + output;
  tile.requantization = results.requantization;
  tile.requantization.bias += output;
  tile.requantization.multiplier += output;
  tile.addition = results.addition;
  tile.other = other == nullptr ? nullptr : other + output;
  tile.outputs = std::min(vectors.end * lanes_of_vector_, shape_.o) - output;
  tile.y = y + output;
  tile.y_stride = shape_.o;
  return tile;
}

/// Tiles of `count` pixels, of sizes that differ by one at most. Leaves `tile` behind the last one.
void BitProduct::run_tiles(BitTile& tile, std::int64_t count, std::int64_t block, const Int8Results& results,
                           std::int64_t x_step, std::int64_t total_step) const {
  const auto kernels =
      (bit_unit().of(tile.planes, masks_).*results.kernels)[static_cast<std::size_t>(blocks_[block].size() - 1)];
  const auto most = static_cast<std::int64_t>(kernels.size());
  const std::int64_t tiles = (count + most - 1) / most;
  for (std::int64_t i = 0; i < tiles; ++i) {
    const std::int64_t pixels = count / tiles + (i < count % tiles ? 1 : 0);
    kernels[static_cast<std::size_t>(pixels - 1)](tile);
    tile.x += pixels * x_step;
    tile.y += pixels * tile.y_stride;
    tile.other += tile.other == nullptr ? 0 : pixels * tile.y_stride;
    tile.totals += masks_ == 1 ? pixels * total_step : 0;
  }
}

void BitProduct::run_image(const std::uint8_t* x, std::uint8_t x_zero_point, Range lines, const Int8Results& results,
                           std::uint8_t* y, const std::uint8_t* other) const {
  const std::int64_t step = pool_ ? 2 : 1;
  const std::int64_t width = shape_.out_w() / step;
  const Lines from = lines_of(x, x_zero_point, {lines.begin * step, lines.end * step});
  const std::int64_t first_output = lines.begin * width * shape_.o;
  const std::int64_t pixel = shape_.stride_w * pixel_bytes_;
  for (std::int64_t block = 0; block < blocks_.count; ++block) {
    BitTile tile = tile_of(block, results, from, y + first_output, other == nullptr ? nullptr : other + first_output);
    const std::uint8_t* const first = tile.x;
    tile.pixel_stride = pixel;
    tile.line_stride = shape_.stride_h * from.line;
    tile.kernel_row_stride = shape_.dilation_h * from.line;
    tile.totals_stride = shape_.out_w();
    for (std::int64_t i = 0; i < lines.size(); ++i) {
      tile.x = first + i * step * shape_.stride_h * from.line;
      tile.totals = from.totals + i * step * shape_.out_w();
      run_tiles(tile, width, block, results, step * pixel, step);
    }
  }
}

void BitProduct::run_rows(const std::uint8_t* x, std::int64_t rows, Range blocks, const Int8Results& results,
                          std::uint8_t* y, const std::uint8_t* other) const {
  const std::int64_t chunk = std::clamp<std::int64_t>(kRowBytes / pixel_bytes_, 1, rows);
  const std::int64_t plane = (chunk * pixel_bytes_ + kSlack + 3) / 4 * 4;
  auto* const memory =
      thread_scratch_of<std::uint8_t>(static_cast<std::size_t>(planes_ * plane + chunk * 4), Scratch::ProductInput);
  auto* const sums = reinterpret_cast<std::int32_t*>(memory + planes_ * plane);
  for (std::int64_t first = 0; first < rows; first += chunk) {
    const std::int64_t count = std::min(chunk, rows - first);
    const bool has_lower =
        pack_planes(x + first * shape_.c, count, shape_.c,
                    {.lower = memory, .upper = planes_ == 2 ? memory + plane : nullptr, .sums = sums});
    const Lines from{.first = memory, .line = 0, .plane = plane, .totals = sums, .has_lower = has_lower};
    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
      const std::int64_t first_output = first * shape_.o;
      BitTile tile = tile_of(block, results, from, y + first_output, other == nullptr ? nullptr : other + first_output);
      tile.pixel_stride = pixel_bytes_;
      run_tiles(tile, count, block, results, pixel_bytes_, 1);
    }
  }
}

}  // namespace detent::kernels
