#include "detent/kernels/product/int8_conv.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "detent/kernels/product/conv_internal.h"
#include "detent/kernels/product/depthwise/depthwise.h"
#include "detent/kernels/product/int8_tile.h"

namespace detent::kernels {

#if defined(DETENT_HAS_INT8_TILES)

namespace {

/// Sums below this are exact in f32, and so are sums with their bias.
constexpr double kExactInF32 = 1 << 24;
constexpr double kLargestCode = 1 << 30;

/// Outputs of a vector; codes of a lane.
constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kFour = 4;

}  // namespace

/// Outputs are cut into blocks of up to kTileVectors vectors. Weights: [block][kernel row][group][vector][16][4]; a
/// group is four neighbouring codes of a row of the window, [KW, I] in memory, the last one filled up with zeros.
struct Int8Conv::Impl {
  ConvShape shape;
  bool is_linear = false;
  bool pool = false;
  bool is_observed = false;
  bool has_bias = false;
  CodeRange codes;
  float positive = 0;
  std::int64_t groups = 0;
  Slices blocks;  // of vectors
  std::shared_ptr<std::byte> weight;
  std::size_t weight_bytes = 0;
  std::vector<std::int32_t> start;
  std::vector<float> bias, multiplier, real_scale;
  float zero_point = 0;
  std::uint8_t x_zero_point = 0, lower = 0, upper = 0;

  const std::int8_t* block_weight(std::int64_t first_vector) const {
    return reinterpret_cast<const std::int8_t*>(weight.get()) + first_vector * shape.kh * groups * kLanes * kFour;
  }
  void pack(const std::int8_t* plain);
  bool set_constants(const std::int8_t* plain, const Requantization& r);
  std::int64_t padded_width() const { return shape.w + shape.padding.w(); }
  const std::uint8_t* padded_lines(const std::uint8_t* image, Range lines) const;
  Int8Tile tile_of(std::int64_t block) const;
  void run_line(const std::uint8_t* x, std::int64_t block, std::uint8_t* y, const TileObservation* observation) const;
  void run_linear(const std::uint8_t* x, std::int64_t images, Range range, std::uint8_t* y) const;
  void run_image(const std::uint8_t* x, Range lines, std::uint8_t* y,
                 const TileObservation* observation = nullptr) const;
  static std::shared_ptr<Impl> make(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                                    const Requantization& r, bool pool, bool is_observed);
};

namespace {

/// Runs kernel_of(pixels) on tiles of at most `most` of `count` pixels, of sizes that differ by one at most.
template <typename KernelOf>
void run_tiles(Int8Tile tile, std::int64_t count, std::int64_t most, std::int64_t x_step, KernelOf&& kernel_of) {
  const std::int64_t tiles = (count + most - 1) / most;
  const std::int64_t size = count / tiles;
  const std::int64_t larger = count % tiles;
  Int8Kernel kernel = kernel_of(static_cast<int>(larger > 0 ? size + 1 : size));
  for (std::int64_t i = 0; i < tiles; ++i) {
    const std::int64_t pixels = i < larger ? size + 1 : size;
    if (i == larger && larger > 0) {
      kernel = kernel_of(static_cast<int>(size));
    }
    kernel(tile);
    tile.x += pixels * x_step;
    tile.y += pixels * tile.y_stride;
    tile.observation.mask += pixels * tile.observation.mask_stride;
  }
}

}  // namespace

void Int8Conv::Impl::pack(const std::int8_t* plain) {
  const std::int64_t row = shape.kw * shape.c;
  const std::int64_t steps = shape.kh * groups;
  weight_bytes = static_cast<std::size_t>(blocks.rows * steps * kLanes * kFour);
  weight = allocate_aligned(weight_bytes);
  std::memset(weight.get(), 0, weight_bytes);
  auto* packed = reinterpret_cast<std::int8_t*>(weight.get());
  for (std::int64_t b = 0; b < blocks.count; ++b) {
    const Range vectors = blocks[b];
    for (std::int64_t o = vectors.begin * kLanes; o < std::min(vectors.end * kLanes, shape.o); ++o) {
      const std::int64_t lane = o - vectors.begin * kLanes;
      for (std::int64_t i = 0; i < shape.kh; ++i) {
        for (std::int64_t k = 0; k < row; ++k) {
          const std::int64_t step = vectors.begin * steps + (i * groups + k / kFour) * vectors.size();
          packed[step * kLanes * kFour + lane * kFour + k % kFour] = plain[(o * shape.kh + i) * row + k];
        }
      }
    }
  }
}

/// False if codes before clamping might not fit.
bool Int8Conv::Impl::set_constants(const std::int8_t* plain, const Requantization& r) {
  const std::int64_t depth = shape.depth();
  const auto lanes = static_cast<std::size_t>(blocks.rows * kLanes);
  start.assign(lanes, 0);
  bias.assign(lanes, 0.0F);
  multiplier.assign(lanes, 0.0F);
  const std::int64_t reach = std::max<std::int64_t>(x_zero_point, 255 - x_zero_point);
  for (std::int64_t o = 0; o < shape.o; ++o) {
    const auto lane = static_cast<std::size_t>(o);
    std::int64_t sum = 0;
    std::int64_t magnitude = 0;
    for (std::int64_t k = 0; k < depth; ++k) {
      const int code = plain[o * depth + k];
      sum += code;
      magnitude += std::abs(code);
    }
    const double output_bias = r.bias.empty() ? 0.0 : double{r.bias[lane]};
    const double bound = static_cast<double>(magnitude * reach) + std::abs(output_bias);
    has_bias = has_bias || is_observed || (output_bias != 0.0 && bound >= kExactInF32);
    start[lane] = static_cast<std::int32_t>(-sum * x_zero_point);
    bias[lane] = static_cast<float>(output_bias);
    multiplier[lane] = r.multiplier[lane];
    if (!(bound * static_cast<double>(r.multiplier[lane]) < kLargestCode)) {
      return false;
    }
  }
  for (std::size_t lane = 0; !has_bias && lane < r.bias.size(); ++lane) {
    start[lane] += static_cast<std::int32_t>(r.bias[lane]);
  }
  zero_point = static_cast<float>(r.output.zero_point);
  lower = static_cast<std::uint8_t>(r.relu ? std::max(r.codes.qmin, r.output.zero_point) : r.codes.qmin);
  upper = static_cast<std::uint8_t>(r.codes.qmax);
  return true;
}

std::shared_ptr<Int8Conv::Impl> Int8Conv::Impl::make(const ConvShape& shape, const std::int8_t* weight,
                                                     std::int32_t x_zero_point, const Requantization& r, bool pool,
                                                     bool is_observed) {
  shape.validate();
  check(x_zero_point >= 0 && x_zero_point <= 255, "int8 layer: expected a zero point in [0, 255], got ", x_zero_point);
  const bool has_windows = !pool || (shape.out_h() >= 2 && shape.out_w() >= 2);
  const bool is_dilated = shape.dilation_w > 1 && shape.kw > 1;
  const bool fits = shape.depth() <= ProductCodes().largest_depth();
  if (!has_int8_units() || shape.groups > 1 || is_dilated || !has_windows || !fits || r.codes.is_signed()) {
    return nullptr;
  }
  auto impl = std::make_shared<Impl>();
  impl->shape = shape;
  impl->is_linear = kernels::is_linear(shape) && !pool;
  impl->pool = pool;
  impl->is_observed = is_observed;
  impl->codes = r.codes;
  impl->positive = r.relu ? 0.0F : -std::numeric_limits<float>::infinity();
  impl->groups = (shape.kw * shape.c + kFour - 1) / kFour;
  impl->x_zero_point = static_cast<std::uint8_t>(x_zero_point);
  impl->blocks = slice_rows((shape.o + kLanes - 1) / kLanes, pool ? kPooledTileVectors : kTileVectors);
  if (!impl->set_constants(weight, r)) {
    return nullptr;
  }
  impl->pack(weight);
  return impl;
}

Int8Conv Int8Conv::make(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                        const Requantization& r, bool pool) {
  Int8Conv result;
  if (!pool && depthwise::serves(shape) && !r.codes.is_signed()) {
    result.depthwise_ = depthwise::make_int8_layer(shape, weight, x_zero_point, r);
    return result;
  }
  result.impl_ = Impl::make(shape, weight, x_zero_point, r, pool, false);
  return result;
}

Int8Conv Int8Conv::make_observed(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                                 const Requantization& r) {
  // A sum and its bias stay below 2^32.
  const bool are_finite = std::ranges::all_of(r.real_scale, [](float scale) { return scale < 1e28F; });
  Int8Conv result;
  if (are_finite && shape.o % kLanes == 0 && depthwise::serves(shape) && !r.codes.is_signed()) {
    result.depthwise_ = depthwise::make_int8_layer(shape, weight, x_zero_point, r);
  } else if (are_finite && shape.o % kLanes == 0 && !kernels::is_linear(shape)) {
    const std::shared_ptr<Impl> impl = Impl::make(shape, weight, x_zero_point, r, false, true);
    if (impl) {
      impl->real_scale = r.real_scale;
    }
    result.impl_ = impl;
  }
  return result;
}

/// The lines of the image that the output lines see, with padding around them. Gives the first one.
const std::uint8_t* Int8Conv::Impl::padded_lines(const std::uint8_t* image, Range lines) const {
  const std::int64_t first = lines.begin * shape.stride_h - shape.padding.top;
  const std::int64_t count = (lines.size() - 1) * shape.stride_h + shape.dilation_h * (shape.kh - 1) + 1;
  const std::int64_t left = shape.padding.left * shape.c;
  const std::int64_t line = shape.w * shape.c;
  const std::int64_t sides = shape.padding.w() * shape.c;
  const std::size_t bytes = static_cast<std::size_t>(left + count * (line + sides)) + sizeof(std::uint32_t);
  auto* const padded = thread_scratch_of<std::uint8_t>(bytes, Scratch::ProductInput);
  std::fill_n(padded, left, x_zero_point);
  std::uint8_t* to = padded + left;
  for (std::int64_t i = first; i < first + count; ++i, to += line + sides) {
    if (i < 0 || i >= shape.h) {
      std::fill_n(to, line + sides, x_zero_point);
      continue;
    }
    std::memcpy(to, image + i * line, static_cast<std::size_t>(line));
    std::fill_n(to + line, sides, x_zero_point);  // on the right of this line and on the left of the next
  }
  return padded;
}

/// A tile of a block, for what does not depend on the place in the image.
Int8Tile Int8Conv::Impl::tile_of(std::int64_t block) const {
  const Range vectors = blocks[block];
  const std::int64_t first = vectors.begin * kLanes;
  const std::int64_t outputs = std::min(vectors.end * kLanes, shape.o) - first;
  const std::int64_t line = padded_width() * shape.c;
  return {.pixel_stride = (is_linear ? 1 : shape.stride_w) * shape.c,
          .line_stride = shape.stride_h * line,
          .kernel_rows = shape.kh,
          .kernel_row_stride = shape.dilation_h * line,
          .groups = groups,
          .weight = block_weight(vectors.begin),
          .start = start.data() + first,
          .requantization = {.bias = bias.data() + first,
                             .multiplier = multiplier.data() + first,
                             .zero_point = zero_point,
                             .lower = lower,
                             .upper = upper},
          .stored = ~std::uint64_t{0} >> (64 - outputs),
          .y_stride = shape.o};
}

/// One line of the result, or with pooling one line of windows, of one block. `x`: the first pixel's window.
void Int8Conv::Impl::run_line(const std::uint8_t* x, std::int64_t block, std::uint8_t* y,
                              const TileObservation* observation) const {
  const auto vectors = static_cast<int>(blocks[block].size());
  Int8Tile tile = tile_of(block);
  tile.x = x;
  tile.y = y + blocks[block].begin * kLanes;
  if (observation != nullptr) {
    tile.observation = *observation;
    tile.observation.real_scale += blocks[block].begin * kLanes;
    tile.observation.mask += tile.observation.mask_stride == 0 ? 0 : blocks[block].begin * kLanes / 8;
    run_tiles(tile, shape.out_w(), kTilePixels, tile.pixel_stride,
              [&](int pixels) { return int8_observed_kernel(pixels, vectors); });
  } else if (pool) {
    run_tiles(tile, shape.out_w() / 2, kPooledTileWindows, 2 * tile.pixel_stride,
              [&](int windows) { return int8_pooled_kernel(windows, vectors, has_bias); });
  } else {
    run_tiles(tile, shape.out_w(), kTilePixels, tile.pixel_stride,
              [&](int pixels) { return int8_kernel(pixels, vectors, has_bias); });
  }
}

void Int8Conv::Impl::run_image(const std::uint8_t* x, Range lines, std::uint8_t* y,
                               const TileObservation* observation) const {
  const std::int64_t step = pool ? 2 : 1;
  const std::int64_t width = pool ? shape.out_w() / 2 : shape.out_w();
  const std::int64_t line = padded_width() * shape.c;
  // Tiles read whole groups of four bytes; behind an image there may be nothing, or another thread's work.
  const bool is_copied = shape.padding != 0 || shape.kw * shape.c % kFour != 0;
  const std::uint8_t* const first = is_copied ? padded_lines(x, {lines.begin * step, lines.end * step})
                                              : x + lines.begin * step * shape.stride_h * line;
  TileObservation of_line = observation == nullptr ? TileObservation() : *observation;
  for (std::int64_t i = lines.begin; i < lines.end; ++i) {
    for (std::int64_t block = 0; block < blocks.count; ++block) {
      run_line(first + (i - lines.begin) * step * shape.stride_h * line, block, y + i * width * shape.o,
               observation == nullptr ? nullptr : &of_line);
    }
    of_line.mask += width * of_line.mask_stride;
  }
}

void Int8Conv::observe(const std::uint8_t* x_q, std::int64_t images, std::uint8_t* y_q, std::uint8_t* mask,
                       MinMax* seen) const {
  if (depthwise_) {
    depthwise_->observe(x_q, images, y_q, mask, seen);
    return;
  }
  const Impl& impl = *impl_;
  const ConvShape& shape = impl.shape;
  float lanes[2 * kLanes];
  std::fill_n(lanes, kLanes, MinMax{}.min);
  std::fill_n(lanes + kLanes, kLanes, MinMax{}.max);
  std::uint8_t unwanted[2 * kTileVectors];
  TileObservation observation{.real_scale = impl.real_scale.data(),
                              .positive = impl.positive,
                              .inside = Inside(impl.codes.qmin, impl.codes.qmax),
                              .seen = lanes,
                              .mask = mask == nullptr ? unwanted : mask,
                              .mask_stride = mask == nullptr ? 0 : shape.o / 8};
  for (std::int64_t image = 0; image < images; ++image) {
    impl.run_image(x_q + image * shape.input_row(), {0, shape.out_h()}, y_q + image * shape.output_row(), &observation);
    observation.mask += shape.out_h() * shape.out_w() * observation.mask_stride;
  }
  for (std::int64_t lane = 0; seen != nullptr && lane < kLanes; ++lane) {
    seen->include({lanes[lane] + 0.0F, lanes[kLanes + lane] + 0.0F});  // -0 to 0, as requantize does
  }
}

void Int8Conv::Impl::run_linear(const std::uint8_t* x, std::int64_t images, Range range, std::uint8_t* y) const {
  const std::uint8_t* last = nullptr;  // the last row where tiles would read beyond it: a copy
  if (shape.c % kFour != 0) {
    const auto row = static_cast<std::size_t>(shape.c);
    auto* const copy = thread_scratch_of<std::uint8_t>(row + kFour, Scratch::ProductInput);
    std::memcpy(copy, x + (images - 1) * shape.c, row);
    last = copy;
  }
  const std::int64_t before = last != nullptr ? images - 1 : images;
  for (std::int64_t block = range.begin; block < range.end; ++block) {
    const auto vectors = static_cast<int>(blocks[block].size());
    const auto kernel_of = [&](int pixels) { return int8_kernel(pixels, vectors, has_bias); };
    Int8Tile tile = tile_of(block);
    tile.x = x;
    tile.y = y + blocks[block].begin * kLanes;
    if (before > 0) {
      run_tiles(tile, before, kTilePixels, tile.pixel_stride, kernel_of);
    }
    if (last != nullptr) {
      tile.x = last;
      tile.y += before * tile.y_stride;
      run_tiles(tile, 1, kTilePixels, tile.pixel_stride, kernel_of);
    }
  }
}

std::int64_t Int8Conv::parts() const {
  if (depthwise_) {
    return depthwise_->parts();
  }
  const ConvShape& shape = impl_->shape;
  return impl_->is_linear ? impl_->blocks.count : impl_->pool ? shape.out_h() / 2 : shape.out_h();
}

void Int8Conv::run(const std::uint8_t* x_q, std::int64_t images, Range parts, std::uint8_t* y_q) const {
  if (depthwise_) {
    depthwise_->run(x_q, images, parts, y_q);
    return;
  }
  const Impl& impl = *impl_;
  if (impl.is_linear) {
    impl.run_linear(x_q, images, parts, y_q);
    return;
  }
  const ConvShape& shape = impl.shape;
  const std::int64_t row = impl.pool ? (shape.out_h() / 2) * (shape.out_w() / 2) * shape.o : shape.output_row();
  for (std::int64_t image = 0; image < images; ++image) {
    impl.run_image(x_q + image * shape.input_row(), parts, y_q + image * row);
  }
}

std::size_t Int8Conv::bytes() const {
  if (depthwise_) {
    return depthwise_->bytes();
  }
  return impl_->weight_bytes + impl_->start.size() * (sizeof(std::int32_t) + 2 * sizeof(float));
}

std::vector<std::span<std::byte>> Int8Conv::packed_memory_for_tests() const {
  if (depthwise_) {
    return depthwise_->packed_memory_for_tests();
  }
  auto& impl = const_cast<Impl&>(*impl_);
  return {{impl.weight.get(), impl.weight_bytes},
          std::as_writable_bytes(std::span(impl.multiplier)),
          std::as_writable_bytes(std::span(impl.bias)),
          std::as_writable_bytes(std::span(impl.start))};
}

#else

struct Int8Conv::Impl {};

Int8Conv Int8Conv::make(const ConvShape& shape, const std::int8_t*, std::int32_t, const Requantization&, bool) {
  shape.validate();
  return {};
}
std::int64_t Int8Conv::parts() const { return 0; }
void Int8Conv::run(const std::uint8_t*, std::int64_t, Range, std::uint8_t*) const {}
void Int8Conv::observe(const std::uint8_t*, std::int64_t, std::uint8_t*, std::uint8_t*, MinMax*) const {}
Int8Conv Int8Conv::make_observed(const ConvShape&, const std::int8_t*, std::int32_t, const Requantization&) {
  return {};
}
std::size_t Int8Conv::bytes() const { return 0; }
std::vector<std::span<std::byte>> Int8Conv::packed_memory_for_tests() const { return {}; }

#endif

}  // namespace detent::kernels
