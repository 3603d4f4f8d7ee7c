#include <algorithm>
#include <cstring>
#include <limits>

#include "detent/kernels/codes/requantize_tile.h"
#include "detent/kernels/product/depthwise/depthwise.h"
#include "detent/kernels/product/depthwise/line_kernels.h"
#include "detent/kernels/product/depthwise/line_ring.h"
#include "detent/kernels/product/int8/sum_bounds.h"

namespace detent::kernels::depthwise {
namespace {

/// How the channels of a layer lie in lines and blocks.
struct Layout {
  std::int64_t lanes;   // elements of a pixel of a line
  std::int64_t pixels;  // of a tile
  std::int64_t blocks;
  std::int64_t taps, groups;

  explicit Layout(const ConvShape& s) : lanes(round_up(s.c, 16)), taps(s.kh * s.kw) {
    const LineKernels& kernels = *line_kernels();
    pixels = s.stride_w == 1 && kernels.channels % lanes == 0 ? kernels.channels / lanes : 1;
    blocks = round_up(lanes, kernels.channels) / kernels.channels;
    groups = round_up(taps, kernels.taps) / kernels.taps;
  }
  std::int64_t constants() const { return blocks * line_kernels()->channels; }
  /// The channel of an element of start and the constants, in CodeLine's order; `channels` and more where there is
  /// none.
  std::int64_t channel(std::int64_t element) const {
    const LineKernels& kernels = *line_kernels();
    const std::int64_t vectors = kernels.channels / kernels.floats;
    const std::int64_t block = element / kernels.channels;
    const std::int64_t vector = element % kernels.channels / kernels.floats;
    const std::int64_t lane = element % kernels.floats;
    const std::int64_t in_block = lane / 4 * 4 * vectors + 4 * vector + lane % 4;
    return block * kernels.channels + (pixels > 1 ? in_block % lanes : in_block);
  }
};

template <typename T>
std::vector<T> in_order(const Layout& layout, std::span<const T> of_channels) {
  std::vector<T> result(static_cast<std::size_t>(layout.constants()), T{});
  for (std::int64_t i = 0; i < layout.constants(); ++i) {
    const auto channel = static_cast<std::size_t>(layout.channel(i));
    if (channel < of_channels.size()) {
      result[static_cast<std::size_t>(i)] = of_channels[channel];
    }
  }
  return result;
}

std::vector<std::int32_t> start_of(std::span<const std::int32_t> sums, std::int32_t x_zero_point) {
  std::vector<std::int32_t> start(sums.begin(), sums.end());
  for (std::int32_t& sum : start) {
    sum *= -x_zero_point;
  }
  return start;
}

/// Calls compute(line, y) for the given lines of the results of all images.
template <typename Y, typename Compute>
void for_lines(const ConvShape& s, const std::uint8_t* x_q, std::int64_t images, Range lines, std::int32_t zero_point,
               const std::byte* weight, const std::int32_t* start, Y* y, Compute&& compute) {
  const Layout layout(s);
  const std::int64_t reach_h = s.dilation_h * (s.kh - 1);
  const LineRing<std::uint8_t, std::uint8_t>::Format format{
      .height = s.h,
      .width = s.w,
      .channels = s.c,
      .first_column = -s.padding.left,
      .columns = (s.out_w() - 1) * s.stride_w + s.dilation_w * (s.kw - 1) + 1,
      .lanes = layout.lanes,
      .lines = reach_h + 1,
      .fill = static_cast<std::uint8_t>(zero_point)};
  const std::int64_t results = s.out_w() * layout.lanes;
  const auto result_bytes = static_cast<std::size_t>(round_up(results * static_cast<std::int64_t>(sizeof(Y)), 64));
  const auto offset_bytes = static_cast<std::size_t>(layout.groups * line_kernels()->taps) * sizeof(std::int64_t);
  std::byte* const memory =
      thread_scratch(result_bytes + offset_bytes + static_cast<std::size_t>(format.elements()), Scratch::ProductLines);
  auto* const padded = reinterpret_cast<Y*>(memory);  // a line of results with `lanes` a pixel
  auto* const offsets = reinterpret_cast<std::int64_t*>(memory + result_bytes);
  LineRing<std::uint8_t, std::uint8_t> ring(format,
                                            reinterpret_cast<std::uint8_t*>(memory + result_bytes + offset_bytes));
  const std::int64_t tiles = (s.out_w() + layout.pixels - 1) / layout.pixels;
  const std::int64_t block = line_kernels()->channels;
  CodeLine line{.x = ring.memory(),
                .offsets = offsets,
                .groups = layout.groups,
                .weight = weight,
                .start = start,
                .blocks = layout.blocks,
                .tiles = tiles,
                .x_step = layout.pixels * s.stride_w * layout.lanes,
                .y_step = layout.pixels * layout.lanes,
                .last_block = layout.pixels > 1 ? block : layout.lanes - (layout.blocks - 1) * block,
                .last_tile = layout.pixels > 1 ? results - (tiles - 1) * layout.pixels * layout.lanes : block};
  const bool is_padded = layout.lanes != s.c;
  const std::int64_t y_line = s.out_w() * s.c;
  std::fill_n(offsets, layout.groups * line_kernels()->taps, 0);
  for (std::int64_t image = 0; image < images; ++image) {
    ring.start(x_q + image * s.input_row());
    for (std::int64_t i = lines.begin; i < lines.end; ++i) {
      const std::int64_t first = i * s.stride_h - s.padding.top;
      ring.reach(first, first + reach_h);
      std::int64_t* offset = offsets;
      for (std::int64_t row = 0; row < s.kh; ++row) {
        const std::int64_t of_row = ring.offset(first + row * s.dilation_h);
        for (std::int64_t column = 0; column < s.kw; ++column) {
          *offset++ = of_row + column * s.dilation_w * layout.lanes;
        }
      }
      Y* const to = y + image * s.output_row() + i * y_line;
      compute(line, is_padded ? padded : to);
      if (is_padded) {
        copy_pixels(padded, layout.lanes, s.out_w(), s.c, to, s.c);
      }
    }
  }
}

}  // namespace

Codes pack_codes(const ConvShape& shape, const std::int8_t* weight) {
  const Layout layout(shape);
  const LineKernels& kernels = *line_kernels();
  Codes result;
  result.bytes = static_cast<std::size_t>(layout.constants() * layout.groups) * sizeof(std::int32_t);
  result.data = allocate_aligned(result.bytes);
  std::memset(result.data.get(), 0, result.bytes);
  result.sums.assign(static_cast<std::size_t>(layout.constants()), 0);
  auto* const bytes = reinterpret_cast<std::int8_t*>(result.data.get());
  auto* const words = reinterpret_cast<std::int16_t*>(result.data.get());
  for (std::int64_t i = 0; i < layout.constants(); ++i) {
    const std::int64_t channel = layout.channel(i);
    for (std::int64_t tap = 0; channel < shape.c && tap < layout.taps; ++tap) {
      const std::int8_t code = weight[channel * layout.taps + tap];
      const std::int64_t block = i / kernels.channels;
      const std::int64_t lane = (block * layout.groups + tap / kernels.taps) * kernels.channels + i % kernels.channels;
      const std::int64_t at = lane * kernels.taps + tap % kernels.taps;
      kernels.taps == 4 ? bytes[at] = code : words[at] = code;
      result.sums[static_cast<std::size_t>(i)] += code;
    }
  }
  return result;
}

void integer_sums(const ConvShape& shape, const std::uint8_t* x_q, std::int32_t x_zero_point, const std::byte* weight,
                  std::span<const std::int32_t> weight_sums, std::int32_t* acc) {
  const std::vector<std::int32_t> start = start_of(weight_sums, x_zero_point);
  for_lines(shape, x_q, shape.n, {0, shape.out_h()}, x_zero_point, weight, start.data(), acc,
            [](const CodeLine& line, std::int32_t* y) { line_kernels()->sums_line(line, y); });
}

Int8Layer::Int8Layer(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                     const Requantization& r, bool has_bias)
    : shape_(shape),
      x_zero_point_(x_zero_point),
      weight_(pack_codes(shape, weight)),
      start_(start_of(weight_.sums, x_zero_point)),
      output_(r.output),
      codes_(r.codes),
      relu_(r.relu),
      has_bias_(has_bias) {
  const Layout layout(shape);
  bias_ = in_order(layout, std::span(r.bias));
  multiplier_ = in_order(layout, std::span(r.multiplier));
  real_scale_ = in_order(layout, std::span(r.real_scale));
  for (std::size_t i = 0; !has_bias && i < bias_.size(); ++i) {
    start_[i] += static_cast<std::int32_t>(bias_[i]);
  }
}

std::shared_ptr<const Int8Layer> make_int8_layer(const ConvShape& shape, const std::int8_t* weight,
                                                 std::int32_t x_zero_point, const Requantization& r, bool is_observed) {
  shape.validate();
  check(x_zero_point >= 0 && x_zero_point <= 255, "int8 layer: expected a zero point in [0, 255], got ", x_zero_point);
  ProductCodes().check_depth(shape.depth());
  const SumBounds bounds = bounds_of_sums(shape, weight, x_zero_point, r);
  if (!is_observed && !bounds.codes_fit) {
    return nullptr;
  }
  return std::make_shared<const Int8Layer>(shape, weight, x_zero_point, r, is_observed || !bounds.is_bias_exact);
}

CodeConstants Int8Layer::constants() const {
  return {.bias = bias_.data(),
          .multiplier = multiplier_.data(),
          .real_scale = real_scale_.data(),
          .zero_point = static_cast<float>(output_.zero_point),
          .lower = static_cast<float>(relu_ ? std::max(codes_.qmin, output_.zero_point) : codes_.qmin),
          .upper = static_cast<float>(codes_.qmax)};
}

void Int8Layer::run(const std::uint8_t* x_q, std::int64_t images, Range lines, std::uint8_t* y_q,
                    const std::uint8_t*) const {
  const CodeConstants c = constants();
  const TileRequantization r{.bias = c.bias,
                             .multiplier = c.multiplier,
                             .zero_point = c.zero_point,
                             .lower = static_cast<std::uint8_t>(c.lower),
                             .upper = static_cast<std::uint8_t>(c.upper)};
  const LineKernels& kernels = *line_kernels();
  for_lines(shape_, x_q, images, lines, x_zero_point_, weight_.data.get(), start_.data(), y_q,
            [&, codes_line = has_bias_ ? kernels.biased_codes_line : kernels.codes_line](
                const CodeLine& line, std::uint8_t* y) { codes_line(line, r, y); });
}

void Int8Layer::observe(const std::uint8_t* x_q, std::int64_t images, std::uint8_t* y_q, std::uint8_t* mask,
                        MinMax* seen) const {
  SeenByLane lanes;
  Observation observation{.positive = relu_ ? 0.0F : -std::numeric_limits<float>::infinity(),
                          .inside = Inside(codes_.qmin, codes_.qmax),
                          .seen = lanes.lanes};
  for_lines(shape_, x_q, images, {0, shape_.out_h()}, x_zero_point_, weight_.data.get(), start_.data(), y_q,
            [&, c = constants()](const CodeLine& line, std::uint8_t* y) {
              observation.mask = mask == nullptr ? nullptr : mask + (y - y_q) / 8;
              line_kernels()->observed_line(line, c, observation, y);
            });
  if (seen != nullptr) {
    lanes.include_in(*seen);
  }
}

std::size_t Int8Layer::bytes() const {
  return weight_.bytes + start_.size() * (sizeof(std::int32_t) + 3 * sizeof(float));
}

std::vector<std::span<std::byte>> Int8Layer::packed_memory_for_tests() const {
  auto& self = const_cast<Int8Layer&>(*this);
  return {{self.weight_.data.get(), self.weight_.bytes},
          std::as_writable_bytes(std::span(self.multiplier_)),
          std::as_writable_bytes(std::span(self.bias_)),
          std::as_writable_bytes(std::span(self.start_))};
}

}  // namespace detent::kernels::depthwise
