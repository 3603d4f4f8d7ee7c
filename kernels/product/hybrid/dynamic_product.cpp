#include "detent/kernels/product/hybrid/dynamic_product.h"

#include <algorithm>
#include <array>
#include <limits>

#include "detent/core/memory.h"
#include "detent/core/processor/vectorized.h"
#include "detent/kernels/codes/dynamic_codes.h"
#include "detent/kernels/product/int8/product.h"

namespace detent::kernels {
namespace {

/// Rows of a linear layer that are taken at a time, so that what is made of them stays in the first caches.
constexpr std::int64_t kRows = 16;

/// What turns the sums of some outputs into real numbers. `weight_sums` and `x_zero_point`: of tiles; else the zero
/// point is 0.
struct SumScales {
  const std::int32_t* weight_sums;
  const float* scale;
  const float* bias;
  std::int32_t x_zero_point;
  float x_scale;
  float lowest;
};

[[gnu::always_inline]] inline float scaled(std::int32_t sum, const SumScales& s, std::int64_t o) {
  return static_cast<float>(sum - s.x_zero_point * s.weight_sums[o]) * s.scale[o];
}

[[gnu::always_inline]] inline float finished(float total, const SumScales& s, std::int64_t o) {
  const float y = total * s.x_scale + s.bias[o];
  return y > s.lowest ? y : s.lowest;
}

/// y = finished(scaled(sum)) of `rows` rows of `count` outputs, which lie `stride` apart.
DETENT_VECTORIZED void results_of(const std::int32_t* __restrict sums, std::int64_t rows, std::int64_t count,
                                  std::int64_t stride, const SumScales s, float* __restrict y) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t o = 0; o < count; ++o) {
      y[row * stride + o] = finished(scaled(sums[row * stride + o], s, o), s, o);
    }
  }
}

/// y += scaled(sum), or with `is_first` in its place.
DETENT_VECTORIZED void add_sums(const std::int32_t* __restrict sums, std::int64_t rows, std::int64_t count,
                                std::int64_t stride, const SumScales s, bool is_first, float* __restrict y) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t o = 0; o < count; ++o) {
      const float part = scaled(sums[row * stride + o], s, o);
      y[row * stride + o] = is_first ? part : y[row * stride + o] + part;
    }
  }
}

/// y = finished(y)
DETENT_VECTORIZED void finish(std::int64_t rows, std::int64_t count, std::int64_t stride, const SumScales s,
                              float* __restrict y) {
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t o = 0; o < count; ++o) {
      y[row * stride + o] = finished(y[row * stride + o], s, o);
    }
  }
}

/// start[lane] = -x_zero_point * weight_sums[lane]
DETENT_VECTORIZED void start_of(const std::int32_t* __restrict weight_sums, std::int64_t lanes,
                                std::int32_t x_zero_point, std::int32_t* __restrict start) {
  for (std::int64_t lane = 0; lane < lanes; ++lane) {
    start[lane] = -x_zero_point * weight_sums[lane];
  }
}

Int8Results sums_from(const std::vector<std::int32_t>& start) {
  return {.kernels = &Int8Unit::sums,
          .start = start.data(),
          .requantization = {},
          .addition = {},
          .reals = {},
          .bytes = sizeof(std::int32_t)};
}

template <typename T>
std::uint8_t* bytes_of(T* results) {
  return reinterpret_cast<std::uint8_t*>(results);
}

}  // namespace

DynamicProduct::Part DynamicProduct::make_part(const std::int8_t* weight, const QParams& map, std::int64_t group,
                                               CodeRange input) const {
  const std::int64_t channels = shape_.c / shape_.groups;
  const std::int64_t size = map.is_per_group() ? map.group : channels;
  Part part{.channels = {group * size, std::min((group + 1) * size, channels)}, .shape = shape_};
  part.shape.n = 1;
  part.shape.c = part.channels.size() * shape_.groups;
  std::vector<std::int8_t> codes(static_cast<std::size_t>(part.shape.weight_elements()));
  for (std::int64_t row = 0; row < shape_.o * shape_.kh * shape_.kw; ++row) {
    std::copy_n(weight + row * channels + part.channels.begin, part.channels.size(),
                codes.data() + row * part.channels.size());
  }
  for (std::int64_t o = 0; o < shape_.o; ++o) {
    const auto output = static_cast<std::size_t>(o);
    part.scale.push_back(map.scale_of(output, group));
  }
  if (shape_.groups > 1) {
    part.weight_sums.assign(static_cast<std::size_t>(shape_.o), 0);
    part.packed = pack_integer(part.shape, codes.data(), nullptr, {.x = input.qmax, .weight = map.codes.qmax});
    return part;
  }
  part.tiles = std::make_shared<const Int8Product>(part.shape, codes.data(), pool_);
  part.weight_sums = part.tiles->start(-1);
  part.scale.resize(part.weight_sums.size(), 1.0F);
  return part;
}

DynamicProduct::DynamicProduct(const ConvShape& shape, const std::int8_t* weight, const QParams& map,
                               std::span<const float> bias, CodeRange input, bool relu, bool pool)
    : shape_(shape),
      input_(input),
      lowest_(relu ? 0.0F : -std::numeric_limits<float>::infinity()),
      pool_(pool),
      bias_(bias.begin(), bias.end()) {
  shape.validate();
  check(!pool || pools(shape, map),
        "dynamic product: expected a convolution without groups of channels, of lines of at "
        "least 2 pixels, to pool");
  ProductCodes{.x = input.qmax, .weight = map.codes.qmax}.check_depth(shape.depth());
  for (std::int64_t group = 0; group < map.groups; ++group) {
    parts_.push_back(make_part(weight, map, group, input));
  }
  bias_.resize(parts_[0].scale.size(), 0.0F);
  zeros_.assign(shape.groups == 1 ? bias_.size() : 0, 0);
}

bool DynamicProduct::pools(const ConvShape& shape, const QParams& map) {
  return shape.groups == 1 && map.groups == 1 && shape.out_h() >= 2 && shape.out_w() >= 2;
}

std::int64_t DynamicProduct::parts() const { return shape_.is_linear() ? parts_[0].tiles->blocks() : 1; }

/// The codes [images, H, W, C] of the channels of a part.
const std::uint8_t* DynamicProduct::codes_of_part(const Part& part, const std::uint8_t* codes,
                                                  std::int64_t images) const {
  if (parts_.size() == 1) {
    return codes;
  }
  const std::int64_t channels = shape_.c / shape_.groups;
  const std::int64_t count = part.channels.size();
  const std::int64_t pixels = images * shape_.h * shape_.w * shape_.groups;
  auto* const gathered =
      thread_scratch_of<std::uint8_t>(static_cast<std::size_t>(pixels * count), Scratch::ProductGradient);
  for (std::int64_t i = 0; i < pixels; ++i) {
    std::copy_n(codes + i * channels + part.channels.begin, count, gathered + i * count);
  }
  return gathered;
}

/// What the sums of a part make of y: all of it where there is one part.
void DynamicProduct::add_part(std::size_t index, const std::int32_t* sums, std::int64_t rows, Range outputs,
                              ScaleZero map, float* y) const {
  const Part& part = parts_[index];
  const SumScales scales{.weight_sums = part.weight_sums.data() + outputs.begin,
                         .scale = part.scale.data() + outputs.begin,
                         .bias = bias_.data() + outputs.begin,
                         .x_zero_point = part.tiles ? map.zero_point : 0,
                         .x_scale = map.scale,
                         .lowest = lowest_};
  sums += outputs.begin;
  y += outputs.begin;
  if (parts_.size() == 1) {
    results_of(sums, rows, outputs.size(), shape_.o, scales, y);
    return;
  }
  add_sums(sums, rows, outputs.size(), shape_.o, scales, index == 0, y);
  if (index + 1 == parts_.size()) {
    finish(rows, outputs.size(), shape_.o, scales, y);
  }
}

void DynamicProduct::run_rows(const float* x, std::int64_t rows, Range blocks, float* y) const {
  const Range outputs = parts_[0].tiles->outputs(blocks);
  const std::int64_t most = std::min(rows, kRows);
  auto* const codes = thread_scratch_of<std::uint8_t>(static_cast<std::size_t>(most * shape_.c), Scratch::PoolSums);
  auto* const sums = thread_scratch_of<std::int32_t>(static_cast<std::size_t>(most * shape_.o), Scratch::ProductSums);
  std::array<ScaleZero, kRows> maps;
  for (std::int64_t first = 0; first < rows; first += kRows) {
    const std::int64_t count = std::min(kRows, rows - first);
    for (std::int64_t row = 0; row < count; ++row) {
      maps[static_cast<std::size_t>(row)] = quantize_dynamic(
          std::span(x + (first + row) * shape_.c, static_cast<std::size_t>(shape_.c)), input_, codes + row * shape_.c);
    }
    for (std::size_t part = 0; part < parts_.size(); ++part) {
      parts_[part].tiles->run_rows(codes_of_part(parts_[part], codes, count), count, blocks, sums_from(zeros_),
                                   bytes_of(sums));
      for (std::int64_t row = 0; row < count; ++row) {
        add_part(part, sums + row * shape_.o, 1, outputs, maps[static_cast<std::size_t>(row)],
                 y + (first + row) * shape_.o);
      }
    }
  }
}

/// The image of one part, without groups of convolution: its tiles write reals.
void DynamicProduct::run_tiles(const std::uint8_t* codes, ScaleZero map, float* y) const {
  const Part& part = parts_[0];
  const auto lanes = static_cast<std::int64_t>(part.weight_sums.size());
  auto* const start = thread_scratch_of<std::int32_t>(part.weight_sums.size(), Scratch::ProductSums);
  start_of(part.weight_sums.data(), lanes, map.zero_point, start);
  const Int8Results results{
      .kernels = pool_ ? &Int8Unit::pooled_reals : &Int8Unit::reals,
      .start = start,
      .requantization = {},
      .addition = {},
      .reals = {.scale = part.scale.data(), .bias = bias_.data(), .x_scale = map.scale, .lowest = lowest_},
      .bytes = sizeof(float)};
  part.tiles->run_image(codes, static_cast<std::uint8_t>(map.zero_point),
                        {0, pool_ ? shape_.out_h() / 2 : shape_.out_h()}, results, bytes_of(y));
}

void DynamicProduct::run_image(const float* x, float* y) const {
  const auto elements = static_cast<std::size_t>(shape_.input_row());
  auto* const codes = thread_scratch_of<std::uint8_t>(elements, Scratch::PoolSums);
  const ScaleZero map = quantize_dynamic(std::span(x, elements), input_, codes);
  if (parts_.size() == 1 && parts_[0].tiles) {
    run_tiles(codes, map, y);
    return;
  }
  auto* const sums =
      thread_scratch_of<std::int32_t>(static_cast<std::size_t>(shape_.output_row()), Scratch::ProductSums);
  for (std::size_t index = 0; index < parts_.size(); ++index) {
    const Part& part = parts_[index];
    const std::uint8_t* const from = codes_of_part(part, codes, 1);
    if (part.tiles) {
      part.tiles->run_image(from, static_cast<std::uint8_t>(map.zero_point), {0, shape_.out_h()}, sums_from(zeros_),
                            bytes_of(sums));
    } else {
      conv2d_integer(
          part.shape, from, map.zero_point, part.packed, [](std::int64_t, Range, const std::int32_t*) {}, sums);
    }
    add_part(index, sums, shape_.out_h() * shape_.out_w(), {0, shape_.o}, map, y);
  }
}

void DynamicProduct::run(const float* x, std::int64_t images, Range parts, float* y) const {
  if (shape_.is_linear()) {
    run_rows(x, images, parts, y);
    return;
  }
  for (std::int64_t image = 0; image < images; ++image) {
    run_image(x + image * shape_.input_row(), y + image * output_row());
  }
}

std::size_t DynamicProduct::bytes() const {
  std::size_t sum = bias_.size() * sizeof(float);
  for (const Part& part : parts_) {
    sum += part.tiles ? part.tiles->weight_bytes() : part.packed.bytes();
    sum += part.scale.size() * (sizeof(float) + sizeof(std::int32_t));
  }
  return sum;
}

std::vector<std::span<std::byte>> DynamicProduct::memory_for_tests() const {
  auto& self = const_cast<DynamicProduct&>(*this);
  std::vector<std::span<std::byte>> memory{std::as_writable_bytes(std::span(self.bias_))};
  for (Part& part : self.parts_) {
    memory.push_back(part.tiles ? std::span(part.tiles->weight().get(), part.tiles->weight_bytes())
                                : part.packed.memory_for_tests());
    memory.push_back(std::as_writable_bytes(std::span(part.scale)));
  }
  return memory;
}

}  // namespace detent::kernels
