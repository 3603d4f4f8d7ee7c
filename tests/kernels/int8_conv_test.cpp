// The layers of inference against the general functions: equal codes, to the last one.

#include "detent/kernels/product/int8_conv.h"
#include "detent/kernels/codes/quantize.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "detent/core/philox.h"
#include "detent/kernels/layers/pool.h"

namespace detent::kernels::int8_conv_test {
namespace {

struct Case {
  std::string name;
  ConvShape shape;
  bool pool = false;
  bool relu = false;
  bool bias = true;
  int bits = 8;
  std::int32_t x_zero_point = 0;
  std::int32_t y_zero_point = 0;
  std::int32_t largest_weight = 127;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

const std::vector<Case> kCases{
    {.name = "mnist_conv1", .shape = {.n = 2, .h = 28, .w = 28, .c = 1, .o = 32, .kh = 3, .kw = 3}, .relu = true},
    {.name = "mnist_conv2_pooled",
     .shape = {.n = 2, .h = 26, .w = 26, .c = 32, .o = 64, .kh = 3, .kw = 3},
     .pool = true,
     .relu = true},
    {.name = "mnist_conv2", .shape = {.n = 1, .h = 26, .w = 26, .c = 32, .o = 64, .kh = 3, .kw = 3}, .x_zero_point = 7},
    {.name = "linear", .shape = ConvShape::linear(17, 784, 256), .relu = true},
    {.name = "one_row", .shape = ConvShape::linear(1, 784, 256), .x_zero_point = 200, .y_zero_point = 100},
    {.name = "odd_linear", .shape = ConvShape::linear(13, 131, 75), .x_zero_point = 128, .y_zero_point = 131},
    {.name = "ten_outputs", .shape = ConvShape::linear(5, 128, 10), .bias = false, .y_zero_point = 131},
    {.name = "deep_sums_pass_2_to_24", .shape = ConvShape::linear(9, 3001, 21), .relu = true, .y_zero_point = 3},
    {.name = "padded",
     .shape = {.n = 3, .h = 9, .w = 7, .c = 3, .o = 17, .kh = 3, .kw = 3, .padding = 1},
     .x_zero_point = 37,
     .y_zero_point = 128},
    {.name = "padded_strided_5x5",
     .shape = {.n = 2, .h = 14, .w = 15, .c = 6, .o = 16, .kh = 5, .kw = 5, .stride_h = 2, .stride_w = 2, .padding = 2},
     .relu = true,
     .x_zero_point = 255},
    {.name = "padded_below_and_right",
     .shape = {.n = 3, .h = 8, .w = 7, .c = 4, .o = 16, .kh = 2, .kw = 2, .padding = {0, 0, 1, 1}},
     .x_zero_point = 41,
     .y_zero_point = 9},
    {.name = "four_paddings_strided",
     .shape = {.n = 2,
               .h = 9,
               .w = 11,
               .c = 5,
               .o = 32,
               .kh = 3,
               .kw = 5,
               .stride_h = 2,
               .stride_w = 1,
               .padding = {1, 0, 2, 3}},
     .relu = true,
     .x_zero_point = 77},
    {.name = "pooled_four_paddings",
     .shape = {.n = 2, .h = 10, .w = 9, .c = 6, .o = 20, .kh = 3, .kw = 2, .padding = {2, 1, 0, 0}},
     .pool = true,
     .x_zero_point = 200,
     .y_zero_point = 30},
    {.name = "pooled_odd_padded",
     .shape = {.n = 2, .h = 11, .w = 13, .c = 5, .o = 33, .kh = 3, .kw = 3, .padding = 1},
     .pool = true,
     .x_zero_point = 12,
     .y_zero_point = 90},
    {.name = "pooled_strided",
     .shape = {.n = 1, .h = 17, .w = 23, .c = 2, .o = 80, .kh = 2, .kw = 3, .stride_h = 2, .stride_w = 2},
     .pool = true,
     .relu = true,
     .y_zero_point = 5},
    {.name = "pointwise", .shape = {.n = 2, .h = 5, .w = 5, .c = 24, .o = 100}, .relu = true},
    {.name = "lines_apart",
     .shape = {.n = 1, .h = 10, .w = 6, .c = 4, .o = 8, .kh = 3, .kw = 1, .dilation_h = 2, .dilation_w = 2}},
    {.name = "flat_kernel", .shape = {.n = 1, .h = 1, .w = 40, .c = 3, .o = 48, .kh = 1, .kw = 7}, .y_zero_point = 60},
    {.name = "resnet_16",
     .shape = {.n = 2, .h = 28, .w = 28, .c = 16, .o = 16, .kh = 3, .kw = 3, .padding = 1},
     .relu = true,
     .y_zero_point = 4},
    {.name = "resnet_32_strided",
     .shape =
         {.n = 1, .h = 28, .w = 28, .c = 16, .o = 32, .kh = 3, .kw = 3, .stride_h = 2, .stride_w = 2, .padding = 1},
     .x_zero_point = 11},
    {.name = "resnet_64",
     .shape = {.n = 2, .h = 7, .w = 7, .c = 64, .o = 64, .kh = 3, .kw = 3, .padding = 1},
     .relu = true,
     .y_zero_point = 4},
    {.name = "one_line_of_three_columns",
     .shape = {.n = 1, .h = 1, .w = 5, .c = 4, .o = 16, .kh = 3, .kw = 3, .padding = 1},
     .x_zero_point = 9},
    {.name = "three_columns_of_odd_channels",
     .shape = {.n = 1, .h = 4, .w = 17, .c = 6, .o = 11, .kh = 2, .kw = 3, .padding = {0, 1}}},
    {.name = "pooled_16",
     .shape = {.n = 1, .h = 26, .w = 26, .c = 16, .o = 16, .kh = 3, .kw = 3},
     .pool = true,
     .relu = true},
    {.name = "fifty_outputs", .shape = {.n = 1, .h = 8, .w = 8, .c = 20, .o = 50, .kh = 5, .kw = 5}, .x_zero_point = 3},
    {.name = "eight_outputs", .shape = {.n = 1, .h = 6, .w = 13, .c = 1, .o = 8, .kh = 3, .kw = 3}, .x_zero_point = 3},
    {.name = "many_odd_rows", .shape = ConvShape::linear(150, 785, 40), .x_zero_point = 9},
    {.name = "four_bits_linear",
     .shape = ConvShape::linear(17, 784, 256),
     .relu = true,
     .x_zero_point = 3,
     .largest_weight = 7},
    {.name = "four_bits_one_row",
     .shape = ConvShape::linear(1, 512, 75),
     .x_zero_point = 200,
     .y_zero_point = 100,
     .largest_weight = 7},
    {.name = "four_bits_odd",
     .shape = ConvShape::linear(29, 131, 33),
     .x_zero_point = 128,
     .y_zero_point = 131,
     .largest_weight = 7},
    {.name = "four_bits_of_one_group", .shape = ConvShape::linear(3, 2, 5), .bias = false, .largest_weight = 7},
    {.name = "four_bits_of_odd_groups", .shape = ConvShape::linear(40, 300, 128), .relu = true, .largest_weight = 7},
    {.name = "low_bits",
     .shape = {.n = 2, .h = 8, .w = 8, .c = 8, .o = 20, .kh = 3, .kw = 3},
     .relu = true,
     .bits = 3,
     .y_zero_point = 2,
     .largest_weight = 3},
};

/// What training sees of the layer, against requantize.
void expect_same_observation(const Case& c, const std::vector<std::uint8_t>& x, const std::vector<std::int8_t>& weight,
                             const Requantization& r) {
  const kernels::Int8Conv layer = kernels::Int8Conv::make_observed(c.shape, weight.data(), c.x_zero_point, r);
  if (!layer.defined()) {
    return;
  }
  const ConvShape& s = c.shape;
  const auto elements = static_cast<std::size_t>(s.n * s.output_row());
  std::vector<std::int32_t> acc(elements);
  reference_conv2d_integer(s, x.data(), c.x_zero_point, weight.data(), acc.data());
  std::vector<std::uint8_t> expected(elements), expected_mask(elements / 8), y(elements), mask(elements / 8);
  MinMax expected_seen, seen, seen_alone;
  requantize(acc.data(), s.n * s.out_h() * s.out_w(), r, expected.data(), expected_mask.data(), &expected_seen);
  layer.observe(x.data(), s.n, y.data(), mask.data(), &seen);
  EXPECT_EQ(y, expected) << c;
  EXPECT_EQ(mask, expected_mask) << c;
  EXPECT_EQ(seen, expected_seen) << c << ": [" << seen.min << ", " << seen.max << "], expected [" << expected_seen.min
                                 << ", " << expected_seen.max << "]";
  layer.observe(x.data(), s.n, y.data(), nullptr, &seen_alone);
  EXPECT_EQ(seen_alone, expected_seen) << c;
}

/// The layer with a sum behind it, against requantize_add of the layer's codes.
void expect_same_sum(const Case& c, const std::vector<std::uint8_t>& x, const std::vector<std::int8_t>& weight,
                     const Requantization& r, const std::vector<std::uint8_t>& codes, std::uint64_t seed) {
  RandomStream random(seed, "residual sum");
  std::vector<std::uint8_t> other(codes.size()), expected(codes.size());
  std::ranges::generate(other, [&] { return static_cast<std::uint8_t>(random.index(256)); });
  const Int8Sum sum{.other = {0.013F, static_cast<std::int32_t>(random.index(256))},
                    .output = {0.017F, static_cast<std::int32_t>(random.index(100))},
                    .codes = unsigned_codes(seed % 3 == 0 ? 6 : 8),
                    .relu = seed % 2 == 1};
  requantize_add(codes, r.output, other, sum.other, sum.output, sum.codes, sum.relu, expected.data());
  const kernels::Int8Conv layer = kernels::Int8Conv::make_added(c.shape, weight.data(), c.x_zero_point, r, sum);
  ASSERT_TRUE(layer.defined()) << c;
  std::vector<std::uint8_t> whole(codes.size(), 0xAA), by_part(codes.size(), 0xAA);
  layer.run(x.data(), c.shape.n, {0, layer.parts()}, whole.data(), other.data());
  for (std::int64_t part = 0; part < layer.parts(); ++part) {
    layer.run(x.data(), c.shape.n, {part, part + 1}, by_part.data(), other.data());
  }
  EXPECT_EQ(whole, expected) << c << ", seed " << seed;
  EXPECT_EQ(by_part, expected) << c << ", seed " << seed;
}

class Int8Conv : public ::testing::TestWithParam<Case> {};

TEST_P(Int8Conv, GivesTheCodesOfTheGeneralFunctions) {
  const Case& c = GetParam();
  for (std::uint64_t seed = 0; seed < 6; ++seed) {
    RandomStream random(seed, "int8 conv");
    const ConvShape& s = c.shape;
    // Half of the seeds are of extreme codes.
    const auto code = [&](std::int32_t largest) {
      const auto drawn = static_cast<std::int32_t>(random.index(static_cast<std::uint32_t>(largest + 1)));
      return seed % 2 == 0 ? drawn : (drawn * 4 > largest ? largest : 0);
    };
    std::vector<std::uint8_t> x(static_cast<std::size_t>(s.n * s.input_row()));
    std::ranges::generate(x, [&] { return static_cast<std::uint8_t>(code(255)); });
    std::vector<std::int8_t> weight(static_cast<std::size_t>(s.weight_elements()));
    std::ranges::generate(weight, [&] {
      const std::int32_t w = code(c.largest_weight);
      return static_cast<std::int8_t>(random.uniform(-1.0F, 1.0F) < 0.3F ? -w : w);
    });
    std::vector<float> bias(c.bias ? static_cast<std::size_t>(s.o) : 0);
    std::ranges::generate(bias, [&] { return random.uniform(-2.0F, 2.0F); });
    QParams weight_map;
    weight_map.axis = 0;
    weight_map.codes = signed_codes(8);
    const auto depth = static_cast<float>(s.depth());
    for (std::int64_t o = 0; o < s.o; ++o) {
      weight_map.scale.push_back(random.uniform(0.2F, 2.0F) / (30.0F * depth));
      weight_map.zero_point.push_back(0);
    }
    const Requantization r = make_requantization({0.02F, c.x_zero_point}, weight_map, bias, s.o,
                                                 {0.01F, c.y_zero_point}, unsigned_codes(c.bits), c.relu);

    expect_same_observation(c, x, weight, r);
    std::vector<std::uint8_t> expected(static_cast<std::size_t>(s.n * s.output_row()));
    std::vector<std::int32_t> acc(expected.size());
    reference_conv2d_integer(s, x.data(), c.x_zero_point, weight.data(), acc.data());
    requantize(acc.data(), s.n * s.out_h() * s.out_w(), r, expected.data());
    if (!c.pool) {
      expect_same_sum(c, x, weight, r, expected, seed);
    }
    if (c.pool) {
      const PoolShape pool{
          .n = s.n, .h = s.out_h(), .w = s.out_w(), .c = s.o, .kh = 2, .kw = 2, .stride_h = 2, .stride_w = 2};
      std::vector<std::uint8_t> pooled(static_cast<std::size_t>(pool.n * pool.output_row()));
      max_pool_forward(pool, expected.data(), pooled.data(), nullptr);
      expected = std::move(pooled);
    }

    const kernels::Int8Conv layer = kernels::Int8Conv::make(s, weight.data(), c.x_zero_point, r, c.pool);
    ASSERT_TRUE(layer.defined()) << c;
    std::vector<std::uint8_t> whole(expected.size(), 0xAA);
    layer.run(x.data(), s.n, {0, layer.parts()}, whole.data());
    std::vector<std::uint8_t> by_part(expected.size(), 0xAA);
    for (std::int64_t part = 0; part < layer.parts(); ++part) {
      layer.run(x.data(), s.n, {part, part + 1}, by_part.data());
    }
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(static_cast<int>(whole[i]), static_cast<int>(expected[i])) << c << ", seed " << seed << ", code " << i;
      ASSERT_EQ(static_cast<int>(by_part[i]), static_cast<int>(expected[i]))
          << c << ", seed " << seed << ", code " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Int8Conv, ::testing::ValuesIn(kCases), [](const auto& c) { return c.param.name; });

TEST(Int8ConvRounds, TheProductBeforeTheZeroPointIsAdded) {
  // Output o has the sum -s, s = o + 3, and a multiplier that takes it next to the tie -190.5: where the zero point
  // brings it, a fused multiply-add would tell on which side of 9.5 it lies.
  constexpr std::int64_t kOutputs = 2000;
  Requantization r{{}, {}, {}, {1.0F, 200}, unsigned_codes(8), false};
  std::vector<std::int8_t> weight;
  std::vector<std::int32_t> acc;
  int fused_differs = 0;
  for (std::int32_t s = 3; s < 3 + kOutputs; ++s) {
    const std::int32_t rest = s % 254;
    for (const std::int32_t w : {s / 254, rest / 2, rest - rest / 2}) {
      weight.push_back(static_cast<std::int8_t>(-w));
    }
    acc.push_back(-s);
    r.multiplier.push_back(190.5F / static_cast<float>(s));
    r.real_scale.push_back(1.0F);
    const float product = static_cast<float>(-s) * r.multiplier.back();
    fused_differs += std::nearbyint(std::fma(static_cast<float>(-s), r.multiplier.back(), 200.0F)) !=
                             std::nearbyint(product + 200.0F)
                         ? 1
                         : 0;
  }
  ASSERT_GT(fused_differs, 100) << "the numbers of this test are badly chosen";
  std::vector<std::uint8_t> expected(kOutputs);
  requantize(acc.data(), 1, r, expected.data());

  const std::vector<std::uint8_t> x{254, 1, 1};
  const ConvShape linear = ConvShape::linear(1, 3, kOutputs), pointwise{.c = 3, .o = kOutputs};
  for (const ConvShape& shape : {linear, pointwise}) {
    const kernels::Int8Conv layer = kernels::Int8Conv::make(shape, weight.data(), 0, r);
    ASSERT_TRUE(layer.defined());
    std::vector<std::uint8_t> y(kOutputs);
    layer.run(x.data(), 1, {0, layer.parts()}, y.data());
    EXPECT_EQ(y, expected);
  }
  const ConvShape observed{.w = 2, .c = 3, .o = kOutputs, .kw = 2};
  std::vector<std::int8_t> wide;  // the second pixel's weights are 0
  for (std::size_t o = 0; o < kOutputs; ++o) {
    wide.insert(wide.end(), weight.begin() + static_cast<std::ptrdiff_t>(3 * o),
                weight.begin() + static_cast<std::ptrdiff_t>(3 * o + 3));
    wide.insert(wide.end(), 3, 0);
  }
  const kernels::Int8Conv layer = kernels::Int8Conv::make_observed(observed, wide.data(), 0, r);
  ASSERT_TRUE(layer.defined());
  std::vector<std::uint8_t> input = x, y(kOutputs), mask(static_cast<std::size_t>(mask_bytes(kOutputs)));
  input.resize(6);
  MinMax seen;
  layer.observe(input.data(), 1, y.data(), mask.data(), &seen);
  EXPECT_EQ(y, expected);
}

TEST(Int8ConvServes, NoSumWhoseCodesMightNotFit) {
  const std::vector<std::int8_t> weight(16, 1);
  const Requantization r{{0.01F}, {}, {0.01F}, {1.0F, 0}, unsigned_codes(8), false};
  const auto served = [&](float other_scale) {
    return kernels::Int8Conv::make_added(ConvShape::linear(1, 16, 1), weight.data(), 0, r,
                                         {{other_scale, 0}, {1.0F, 0}, unsigned_codes(8)})
        .defined();
  };
  EXPECT_TRUE(served(1e6F));
  EXPECT_FALSE(served(1e7F));
}

TEST(Int8ConvServes, TrainingWhereOutputsFillVectors) {
  const std::vector<std::int8_t> weight(4096, 1);
  Requantization r;
  r.multiplier.assign(32, 0.01F);
  r.real_scale.assign(32, 0.01F);
  const auto served = [&](const ConvShape& s) {
    return kernels::Int8Conv::make_observed(s, weight.data(), 0, r).defined();
  };
  EXPECT_TRUE(served({.h = 8, .w = 8, .c = 4, .o = 32, .kh = 3, .kw = 3}));
  EXPECT_FALSE(served({.h = 8, .w = 8, .c = 4, .o = 20, .kh = 3, .kw = 3}));
  EXPECT_FALSE(served(ConvShape::linear(1, 64, 32)));
}

TEST(Int8ConvServes, WhatItCannotDoIsLeftToTheGeneralFunctions) {
  const std::vector<std::int8_t> weight(4096, 1);
  const auto served = [&](const ConvShape& s, float multiplier = 0.01F, bool pool = false) {
    Requantization r;
    r.multiplier.assign(static_cast<std::size_t>(s.o), multiplier);
    return kernels::Int8Conv::make(s, weight.data(), 0, r, pool).defined();
  };
  const ConvShape plain{.h = 8, .w = 8, .c = 4, .o = 4, .kh = 3, .kw = 3};
  ConvShape grouped = plain;
  grouped.groups = 2;
  ConvShape dilated = plain;
  dilated.dilation_w = 2;
  EXPECT_TRUE(served(plain));
  EXPECT_FALSE(served(grouped));
  EXPECT_FALSE(served(dilated));
  EXPECT_FALSE(served(plain, 1e6F)) << "codes before clamping pass 2^30";
  EXPECT_FALSE(served(plain, std::numeric_limits<float>::infinity()));
  EXPECT_FALSE(served({.h = 3, .w = 8, .c = 4, .o = 4, .kh = 3, .kw = 3}, 0.01F, true)) << "no window of two lines";
}

}  // namespace
}  // namespace detent::kernels::int8_conv_test
