#include "detent/kernels/product/direct/direct_conv.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "detent/core/divide_up.h"
#include "detent/core/memory.h"
#include "detent/core/processor/units.h"
#include "detent/kernels/product/conv_internal.h"

namespace detent::kernels {
namespace {

using direct::Tile;
using direct::Unit;

/// Lanes of 512 bits.
constexpr std::int64_t kWideLanes = 16;

/// Bytes of a group.
constexpr std::int64_t kGroup = 4;

/// The processor's unit for products of `dtype`; null: there is none.
const Unit* unit_for(DType dtype) {
#if defined(DETENT_HAS_DIRECT_TILES)
  const ProcessorUnits& units = processor_units();
  if (dtype == DType::BF16) {
    return units.avx512_bf16 ? &direct::avx512_bf16_unit() : nullptr;
  }
  return units.avx512 ? &direct::avx512_unit() : units.avx2 ? &direct::avx2_unit() : nullptr;
#else
  static_cast<void>(dtype);
  return nullptr;
#endif
}

/// Runs tiles over `lines` lines of `count` pixels; tile.x and tile.y are the first pixel's.
void run_tiles(const Unit& unit, Tile tile, int vectors, std::int64_t lines, std::int64_t count, std::int64_t y_bytes) {
  const std::int64_t most = unit.columns[vectors - 1];
  const auto run = [&](Tile piece, int tile_lines, std::int64_t first, std::int64_t columns) {
    piece.x += first * tile.pixel_stride;
    piece.y += first * tile.y_pixel_stride * y_bytes;
    piece.other += piece.other == nullptr ? 0 : first * tile.y_pixel_stride;
    unit.kernel(tile_lines, static_cast<int>(columns), vectors)(piece);
  };
  const Slices pieces{count, divide_up(count, most)};
  const auto run_band = [&](int band) {
    for (std::int64_t i = 0; i < pieces.count; ++i) {
      run(tile, band, pieces[i].begin, pieces[i].size());
    }
  };
  // Two halves of a piece of the line are a tile's lines.
  const auto run_line = [&] {
    const Slices wide{count, divide_up(count, 2 * most)};
    for (std::int64_t i = 0; i < wide.count; ++i) {
      const std::int64_t first = wide[i].begin;
      const std::int64_t columns = wide[i].size();
      if (columns <= most) {
        run(tile, 1, first, columns);
        continue;
      }
      const std::int64_t half = columns / 2;
      Tile halves = tile;
      halves.line_stride = half * tile.pixel_stride;
      halves.y_line_stride = half * tile.y_pixel_stride;
      run(halves, 2, first, half);
      if (columns % 2 != 0) {
        run(tile, 1, first + 2 * half, 1);
      }
    }
  };
  const Slices bands{lines, divide_up(lines, unit.lines[vectors - 1])};
  for (std::int64_t b = 0; b < bands.count; ++b) {
    const auto band = static_cast<int>(bands[b].size());
    band == 1 ? run_line() : run_band(band);
    tile.x += band * tile.line_stride;
    tile.y += band * tile.y_line_stride * y_bytes;
    tile.other += tile.other == nullptr ? 0 : band * tile.y_line_stride;
  }
}

}  // namespace

std::shared_ptr<const DirectConv> DirectConv::make(const ConvShape& shape, DType dtype, bool is_backward) {
  const Unit* const unit = unit_for(dtype);
  if (unit == nullptr || shape.groups > 1) {
    return nullptr;
  }
  return std::shared_ptr<const DirectConv>(new DirectConv(shape, dtype, is_backward, *unit));
}

bool DirectConv::is_preferred(const ConvShape& shape, DType dtype, bool is_backward) {
  const Unit* const unit = unit_for(dtype);
  if (unit == nullptr || shape.groups > 1 || shape.is_linear()) {
    return false;
  }
  const bool is_pointwise = shape.kh * shape.kw == 1;
  const bool has_stride = shape.stride_h * shape.stride_w > 1;
  if (unit->lanes < kWideLanes) {
    return !is_backward && !is_pointwise && !has_stride && shape.c > 2 && shape.c <= 20;
  }
  if (is_backward) {
    return !is_pointwise && shape.c >= 128 && shape.c % kWideLanes == 0;
  }
  return is_pointwise ? has_stride
                      : shape.c <= 2 * kWideLanes || shape.c % kWideLanes != 0 || shape.o % kWideLanes != 0;
}

std::shared_ptr<const DirectConv> DirectConv::make_forward(const ConvShape& shape, DType dtype) {
  return make(shape, dtype, false);
}

std::shared_ptr<const DirectConv> DirectConv::make_backward(const ConvShape& shape, DType dtype) {
  return make(shape, dtype, true);
}

/// Line i of dx sees line o of dy by tap k where i + pad = o * stride + k * dilation: of the lines with the same
/// remainder r of i + pad, those taps with k * dilation = r modulo stride, which are stride / gcd apart.
std::vector<DirectConv::Axis> DirectConv::backward_axes(std::int64_t x, std::int64_t kernel, std::int64_t stride,
                                                        std::int64_t pad, std::int64_t dilation) {
  std::vector<Axis> axes;
  const std::int64_t gcd = std::gcd(stride, dilation);
  for (std::int64_t r = 0; r < stride; ++r) {
    const std::int64_t quotient = divide_up(std::max<std::int64_t>(pad - r, 0), stride);
    Axis axis{.first = quotient * stride + r - pad, .step = stride, .tap_step = dilation / gcd};
    axis.count = axis.first < x ? divide_up(x - axis.first, stride) : 0;
    axis.kernel_step = -stride / gcd;
    for (std::int64_t k = 0; k < kernel; ++k) {
      if (k * dilation % stride == r) {
        ++axis.taps;
        axis.kernel_first = k;  // the last tap sees the first line of dy
      }
    }
    if (axis.taps > 0) {
      axis.x_first = quotient - (axis.kernel_first * dilation - r) / stride;
    }
    if (axis.count > 0) {
      axes.push_back(axis);
    }
  }
  return axes;
}

DirectConv::DirectConv(const ConvShape& shape, DType dtype, bool is_backward, const Unit& unit)
    : shape_(shape),
      is_backward_(is_backward),
      unit_(unit),
      element_(static_cast<std::int64_t>(size_of(dtype))),
      x_{shape.h, shape.w, shape.c},
      y_{shape.out_h(), shape.out_w(), shape.o} {
  if (is_backward) {
    std::swap(x_, y_);
    for (const Axis& rows : backward_axes(shape.h, shape.kh, shape.stride_h, shape.padding.top, shape.dilation_h)) {
      for (const Axis& columns :
           backward_axes(shape.w, shape.kw, shape.stride_w, shape.padding.left, shape.dilation_w)) {
        products_.push_back({rows, columns});
      }
    }
  } else {
    products_.push_back({{.count = shape.out_h(),
                          .x_first = -shape.padding.top,
                          .x_step = shape.stride_h,
                          .taps = shape.kh,
                          .tap_step = shape.dilation_h},
                         {.count = shape.out_w(),
                          .x_first = -shape.padding.left,
                          .x_step = shape.stride_w,
                          .taps = shape.kw,
                          .tap_step = shape.dilation_w}});
  }
  blocks_ = slice_rows(divide_up(y_.c, unit.lanes), direct::kMostVectors);
  for (Product& product : products_) {
    product.weight = weight_vectors_;
    weight_vectors_ += steps(product) * blocks_.rows;
  }
  set_padding();
}

/// Finds what products read around the image, and whether it must be copied for that.
void DirectConv::set_padding() {
  std::int64_t right = 0;
  std::int64_t bottom = 0;
  for (const Product& product : products_) {
    if (product.rows.taps * product.columns.taps == 0) {
      continue;
    }
    top_ = std::max(top_, -product.rows.x_first);
    left_ = std::max(left_, -product.columns.x_first);
    bottom = std::max(bottom, product.rows.x_last() + 1 - x_.h);
    right = std::max(right, product.columns.x_last() + 1 - x_.w);
    is_copied_ = is_copied_ || run_length(product) % unit_.per_group != 0;
  }
  width_ = left_ + x_.w + right;
  lines_ = top_ + x_.h + bottom;
  is_copied_ = is_copied_ || top_ + left_ + right + bottom > 0;
}

/// Numbers of a run.
std::int64_t DirectConv::run_length(const Product& product) const {
  return joins(product) ? product.columns.taps * x_.c : x_.c;
}

/// Groups of the weights of an output.
std::int64_t DirectConv::steps(const Product& product) const {
  const std::int64_t runs = product.rows.taps * (joins(product) ? 1 : product.columns.taps);
  return runs * divide_up(run_length(product), unit_.per_group);
}

std::size_t DirectConv::weight_bytes() const {
  return static_cast<std::size_t>(weight_vectors_ * unit_.lanes * kGroup);
}

template <typename T>
void DirectConv::pack_as(const T* plain, T* packed) const {
  const std::int64_t channel_stride = is_backward_ ? shape_.kh * shape_.kw * shape_.c : 1;
  const std::int64_t output_stride = is_backward_ ? 1 : shape_.kh * shape_.kw * shape_.c;
  for (const Product& product : products_) {
    const bool is_joined = joins(product);
    const std::int64_t groups = divide_up(run_length(product), unit_.per_group);
    for (std::int64_t b = 0; b < blocks_.count; ++b) {
      const Range vectors = blocks_[b];
      const std::int64_t first = vectors.begin * unit_.lanes;
      const std::int64_t width = vectors.size() * unit_.lanes;
      const std::int64_t outputs = std::min(width, y_.c - first);
      T* const block = packed + (product.weight + vectors.begin * steps(product)) * unit_.lanes * unit_.per_group;
      for (std::int64_t row = 0; row < product.rows.taps; ++row) {
        for (std::int64_t column = 0; column < product.columns.taps; ++column) {
          const std::int64_t kh = product.rows.kernel_first + row * product.rows.kernel_step;
          const std::int64_t kw = product.columns.kernel_first + column * product.columns.kernel_step;
          const T* const from = plain + (kh * shape_.kw + kw) * shape_.c + first * output_stride;
          const std::int64_t run = is_joined ? row : row * product.columns.taps + column;
          for (std::int64_t channel = 0; channel < x_.c; ++channel) {
            const std::int64_t at = is_joined ? column * x_.c + channel : channel;
            T* const to =
                block + (run * groups + at / unit_.per_group) * width * unit_.per_group + at % unit_.per_group;
            for (std::int64_t o = 0; o < outputs; ++o) {
              to[o * unit_.per_group] = from[channel * channel_stride + o * output_stride];
            }
          }
        }
      }
    }
  }
}

void DirectConv::pack(const std::byte* plain, std::byte* packed) const {
  std::memset(packed, 0, weight_bytes());
  if (element_ == kGroup) {
    pack_as(reinterpret_cast<const std::uint32_t*>(plain), reinterpret_cast<std::uint32_t*>(packed));
  } else {
    pack_as(reinterpret_cast<const std::uint16_t*>(plain), reinterpret_cast<std::uint16_t*>(packed));
  }
}

std::int64_t DirectConv::parts() const {
  return products_.size() == 1 ? blocks_.count * products_.front().rows.count : 1;
}

/// `lines` of the image with padding around them, of which line 0 is the first padded one.
const std::byte* DirectConv::padded(const std::byte* image, Range lines) const {
  const std::int64_t pixel = x_.c * element_;
  const std::int64_t line = x_.w * pixel;
  const std::int64_t left = left_ * pixel;
  const std::int64_t sides = (width_ - x_.w) * pixel;
  const auto bytes = static_cast<std::size_t>(left + lines.size() * (line + sides) + kGroup);
  std::byte* const padded = thread_scratch(bytes, Scratch::ProductPadded);
  std::memset(padded, 0, static_cast<std::size_t>(left));
  std::byte* to = padded + left;
  for (std::int64_t i = lines.begin - top_; i < lines.end - top_; ++i, to += line + sides) {
    if (i < 0 || i >= x_.h) {
      std::memset(to, 0, static_cast<std::size_t>(line + sides));
      continue;
    }
    std::memcpy(to, image + i * line, static_cast<std::size_t>(line));
    std::memset(to + line, 0, static_cast<std::size_t>(sides));  // on the right of this line, the left of the next
  }
  std::memset(to, 0, kGroup);
  return padded;
}

/// The lines `lines` of a block of outputs. `x`: line 0 is the first that the first of them sees.
void DirectConv::run_block(const Product& product, std::int64_t block, const std::byte* x, Range lines,
                           const std::byte* packed, const DirectEpilogue& epilogue, std::byte* y) const {
  const Axis& rows = product.rows;
  const Axis& columns = product.columns;
  const std::int64_t pixel = x_.c * element_;
  const std::int64_t line = width_ * pixel;
  const auto y_bytes = static_cast<std::int64_t>(size_of(epilogue.out));
  const Range vectors = blocks_[block];
  const std::int64_t first = vectors.begin * unit_.lanes;
  const std::int64_t last = (vectors.end - 1) * unit_.lanes;
  const std::int64_t place = ((rows.first + lines.begin * rows.step) * y_.w + columns.first) * y_.c + first;
  const std::int64_t weight = (product.weight + vectors.begin * steps(product)) * unit_.lanes;
  const Tile tile{.x = x,
                  .pixel_stride = columns.x_step * pixel,
                  .line_stride = rows.x_step * line,
                  .rows = columns.taps == 0 ? 0 : rows.taps,
                  .columns = joins(product) ? 1 : columns.taps,
                  .row_stride = rows.tap_step * line,
                  .column_stride = columns.tap_step * pixel,
                  .groups = divide_up(run_length(product), unit_.per_group),
                  .weight = reinterpret_cast<const float*>(packed) + weight,
                  .bias = epilogue.bias == nullptr ? nullptr : epilogue.bias + first,
                  .other = epilogue.other == nullptr ? nullptr : epilogue.other + place,
                  .relu = epilogue.relu,
                  .out = epilogue.out,
                  .outputs = std::min(unit_.lanes, y_.c - last),
                  .y = y + place * y_bytes,
                  .y_pixel_stride = columns.step * y_.c,
                  .y_line_stride = rows.step * y_.w * y_.c};
  run_tiles(unit_, tile, static_cast<int>(vectors.size()), lines.size(), columns.count, y_bytes);
}

void DirectConv::run_image(const std::byte* x, Range parts, const std::byte* packed, const DirectEpilogue& epilogue,
                           std::byte* y) const {
  const bool is_whole = products_.size() > 1;
  const Axis& rows = products_.front().rows;
  const Range blocks =
      is_whole ? Range{0, blocks_.count} : Range{parts.begin / rows.count, divide_up(parts.end, rows.count)};
  const auto lines_of = [&](const Product& product, std::int64_t block) {
    const std::int64_t count = product.rows.count;
    return is_whole ? Range{0, count}
                    : Range{std::max<std::int64_t>(parts.begin - block * count, 0),
                            std::min(parts.end - block * count, count)};
  };
  const Range lines = blocks.size() == 1 ? lines_of(products_.front(), blocks.begin) : Range{0, rows.count};
  const std::int64_t begin = is_whole ? 0 : top_ + rows.x_first + lines.begin * rows.x_step;
  const std::int64_t reach = (lines.size() - 1) * rows.x_step + (rows.taps - 1) * rows.tap_step + 1;
  const std::byte* const from = is_copied_ ? padded(x, {begin, is_whole ? lines_ : begin + reach}) : x;
  for (const Product& product : products_) {
    const std::int64_t column = left_ + product.columns.x_first;
    for (std::int64_t block = blocks.begin; block < blocks.end; ++block) {
      const Range of_block = lines_of(product, block);
      const std::int64_t line = top_ + product.rows.x_first + of_block.begin * product.rows.x_step;
      const std::int64_t offset = ((line - (is_copied_ ? begin : 0)) * width_ + column) * x_.c * element_;
      run_block(product, block, from + offset, of_block, packed, epilogue, y);
    }
  }
}

void DirectConv::run(const std::byte* x, std::int64_t images, Range parts, const std::byte* packed,
                     const DirectEpilogue& epilogue, std::byte* y) const {
  const auto y_bytes = static_cast<std::int64_t>(size_of(epilogue.out));
  for (std::int64_t i = 0; i < images; ++i) {
    DirectEpilogue of_image = epilogue;
    of_image.other += epilogue.other == nullptr ? 0 : i * y_.elements();
    run_image(x + i * x_.elements() * element_, parts, packed, of_image, y + i * y_.elements() * y_bytes);
  }
}

}  // namespace detent::kernels
