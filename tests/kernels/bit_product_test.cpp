// Layers that count bits against the general functions: equal codes, to the last one.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "detent/core/philox.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/layers/pool.h"
#include "detent/kernels/product/bits/bit_planes.h"
#include "detent/kernels/product/int8_conv.h"

namespace detent::kernels::bit_product_test {
namespace {

struct Case {
  std::string name;
  ConvShape shape;
  bool pool = false;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

const std::vector<Case> kCases{
    {.name = "linear", .shape = ConvShape::linear(17, 256, 64)},
    {.name = "one_row", .shape = ConvShape::linear(1, 784, 256)},
    {.name = "odd_linear", .shape = ConvShape::linear(13, 131, 75)},
    {.name = "few_inputs", .shape = ConvShape::linear(9, 3, 5)},
    {.name = "deep", .shape = ConvShape::linear(3, 5000, 20)},
    {.name = "plain_3x3", .shape = {.n = 2, .h = 9, .w = 11, .c = 32, .o = 48, .kh = 3, .kw = 3}},
    {.name = "padded_3x3", .shape = {.n = 2, .h = 8, .w = 7, .c = 16, .o = 33, .kh = 3, .kw = 3, .padding = 1}},
    {.name = "padded_5x5_strided",
     .shape =
         {.n = 1, .h = 14, .w = 15, .c = 24, .o = 16, .kh = 5, .kw = 5, .stride_h = 2, .stride_w = 2, .padding = 2}},
    {.name = "channels_that_fill_no_byte",
     .shape = {.n = 2, .h = 7, .w = 9, .c = 5, .o = 20, .kh = 3, .kw = 3, .padding = {0, 1, 2, 0}}},
    {.name = "one_channel", .shape = {.n = 1, .h = 12, .w = 12, .c = 1, .o = 8, .kh = 5, .kw = 5}},
    {.name = "many_channels", .shape = {.n = 1, .h = 4, .w = 5, .c = 200, .o = 40, .kh = 3, .kw = 3, .padding = 1}},
    {.name = "pointwise", .shape = {.n = 2, .h = 5, .w = 5, .c = 64, .o = 100}},
    {.name = "lines_apart",
     .shape = {.n = 1, .h = 10, .w = 6, .c = 16, .o = 8, .kh = 3, .kw = 1, .dilation_h = 2, .dilation_w = 2}},
    {.name = "groups",
     .shape = {.n = 2, .h = 8, .w = 7, .c = 128, .o = 66, .kh = 3, .kw = 3, .padding = 1, .groups = 2}},
    {.name = "small_groups", .shape = {.n = 1, .h = 5, .w = 6, .c = 15, .o = 10, .kh = 2, .kw = 3, .groups = 5}},
    {.name = "pointwise_groups", .shape = {.n = 2, .h = 5, .w = 5, .c = 96, .o = 33, .groups = 3}},
    {.name = "pooled", .shape = {.n = 2, .h = 13, .w = 12, .c = 32, .o = 64, .kh = 3, .kw = 3}, .pool = true},
    {.name = "pooled_odd_padded",
     .shape = {.n = 2, .h = 11, .w = 13, .c = 12, .o = 33, .kh = 3, .kw = 3, .padding = 1},
     .pool = true},
};

/// Codes, weights, and what is made of their sums.
struct Layer {
  std::vector<std::uint8_t> x;
  std::vector<std::int8_t> weight;
  std::int32_t x_zero_point = 0;
  Requantization r;
  std::vector<std::uint8_t> expected;
};

/// Every fourth seed has the codes of signs, 0 and 2, where they are codes.
Layer random_layer(const ConvShape& s, std::int32_t x_qmax, bool signs, bool has_bias, std::uint64_t seed) {
  RandomStream random(seed, "bits");
  Layer layer;
  layer.x.resize(static_cast<std::size_t>(s.n * s.input_row()));
  std::ranges::generate(layer.x, [&] {
    const std::uint32_t code = random.index(static_cast<std::uint32_t>(x_qmax + 1));
    return static_cast<std::uint8_t>(x_qmax > 1 && seed % 4 == 3 ? code & 2U : code);
  });
  layer.weight.resize(static_cast<std::size_t>(s.weight_elements()));
  std::ranges::generate(layer.weight, [&] {
    return static_cast<std::int8_t>(signs ? 2 * static_cast<int>(random.index(2)) - 1
                                          : static_cast<int>(random.index(3)) - 1);
  });
  layer.x_zero_point = static_cast<std::int32_t>(random.index(static_cast<std::uint32_t>(x_qmax + 1)));
  std::vector<float> bias(has_bias ? static_cast<std::size_t>(s.o) : 0);
  // In half of deep layers so large that it is added in f32.
  const float large = seed % 2 == 1 && s.depth() > 64 ? 1e6F : 1.0F;
  std::ranges::generate(bias, [&] { return random.uniform(-2.0F, 2.0F) * large; });
  QParams map{.scale = {}, .zero_point = {}, .axis = 0, .codes = signed_codes(2)};
  for (std::int64_t o = 0; o < s.o; ++o) {
    map.scale.push_back(random.uniform(0.2F, 2.0F));
    map.zero_point.push_back(0);
  }
  const float spread = static_cast<float>(x_qmax) * std::sqrt(static_cast<float>(s.depth()));
  layer.r = make_requantization({0.02F, layer.x_zero_point}, map, bias, s.o, {0.02F * spread / 60.0F, 100},
                                unsigned_codes(8), seed % 3 == 0);
  std::vector<std::int32_t> acc(static_cast<std::size_t>(s.n * s.output_row()));
  reference_conv2d_integer(s, layer.x.data(), layer.x_zero_point, layer.weight.data(), acc.data());
  layer.expected.resize(acc.size());
  requantize(acc.data(), s.n * s.out_h() * s.out_w(), layer.r, layer.expected.data());
  return layer;
}

void expect_codes(const Int8Conv& conv, const ConvShape& s, const Layer& layer, const std::uint8_t* other,
                  const std::vector<std::uint8_t>& expected, const std::string& what) {
  ASSERT_TRUE(conv.defined()) << what;
  std::vector<std::uint8_t> whole(expected.size(), 0xAA), by_part(expected.size(), 0xAA);
  conv.run(layer.x.data(), s.n, {0, conv.parts()}, whole.data(), other);
  for (std::int64_t part = 0; part < conv.parts(); ++part) {
    conv.run(layer.x.data(), s.n, {part, part + 1}, by_part.data(), other);
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(int{whole[i]}, int{expected[i]}) << what << ", code " << i;
    ASSERT_EQ(int{by_part[i]}, int{expected[i]}) << what << ", by part, code " << i;
  }
}

constexpr Int8Sum kNoSum{.other = {1.0F, 0}, .output = {1.0F, 0}, .codes = {0, 255}};

class Int8ConvOfBits : public ::testing::TestWithParam<Case> {};

TEST_P(Int8ConvOfBits, GivesTheCodesOfTheGeneralFunctions) {
  const Case& c = GetParam();
  const ConvShape& s = c.shape;
  std::uint64_t seed = 0;
  for (const std::int32_t x_qmax : {1, 2, 3}) {
    for (const bool signs : {true, false}) {
      for (int repeat = 0; repeat < 3; ++repeat, ++seed) {
        const std::string what = c.name + ", codes up to " + std::to_string(x_qmax) +
                                 (signs ? ", signs" : ", ternary") + ", seed " + std::to_string(seed);
        const Layer layer = random_layer(s, x_qmax, signs, repeat > 0, seed);
        const auto make = [&](const Int8Sum* sum) {
          return Int8Conv::make_of_bits_for_tests(s, layer.weight.data(), layer.x_zero_point, layer.r, c.pool, x_qmax,
                                                  sum);
        };
        if (c.pool) {
          const PoolShape pool{
              .n = s.n, .h = s.out_h(), .w = s.out_w(), .c = s.o, .kh = 2, .kw = 2, .stride_h = 2, .stride_w = 2};
          std::vector<std::uint8_t> pooled(static_cast<std::size_t>(pool.n * pool.output_row()));
          max_pool_forward(pool, layer.expected.data(), pooled.data(), nullptr);
          expect_codes(make(nullptr), s, layer, nullptr, pooled, what);
          continue;
        }
        expect_codes(make(nullptr), s, layer, nullptr, layer.expected, what);
        if (s.groups > 1) {
          EXPECT_FALSE(make(&kNoSum).defined()) << what;
          continue;
        }
        RandomStream random(seed, "other");
        std::vector<std::uint8_t> other(layer.expected.size()), summed(layer.expected.size());
        std::ranges::generate(other, [&] { return static_cast<std::uint8_t>(random.index(256)); });
        const Int8Sum sum{.other = {0.013F, 7}, .output = {0.03F, 90}, .codes = unsigned_codes(8), .relu = signs};
        requantize_add(layer.expected, layer.r.output, other, sum.other, sum.output, sum.codes, sum.relu,
                       summed.data());
        expect_codes(make(&sum), s, layer, other.data(), summed, what + ", added");
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Int8ConvOfBits, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.name; });

TEST(Int8ConvOfBits, IsWhatIsMadeWhereItIsFasterAndNothingElseChanges) {
  for (const Case& c : kCases) {
    for (const std::int32_t x_qmax : {1, 3, 4}) {
      const Layer layer = random_layer(c.shape, std::min(x_qmax, 3), x_qmax == 1, true, 2);
      const auto codes_of = [&](std::int32_t largest) {
        const Int8Conv conv =
            Int8Conv::make(c.shape, layer.weight.data(), layer.x_zero_point, layer.r, c.pool, largest);
        std::vector<std::uint8_t> y(layer.expected.size());
        if (!conv.defined()) {
          EXPECT_GT(c.shape.groups, 1) << c;
          return layer.expected;
        }
        conv.run(layer.x.data(), c.shape.n, {0, conv.parts()}, y.data());
        return y;
      };
      EXPECT_EQ(codes_of(x_qmax), codes_of(255)) << c;
    }
  }
}

TEST(Int8ConvOfBits, TakesABitAWeightOrTwo) {
  const ConvShape s = ConvShape::linear(1, 1024, 64);
  const auto bytes = [&](bool signs) {
    const Layer layer = random_layer(s, 1, signs, false, 3);
    return Int8Conv::make_of_bits_for_tests(s, layer.weight.data(), 0, layer.r, false, 1).bytes();
  };
  constexpr std::size_t kConstants = 64 * 12;
  EXPECT_EQ(bytes(true), 1024U * 64 / 8 + kConstants);
  EXPECT_EQ(bytes(false), 1024U * 64 / 4 + kConstants);
}

TEST(Int8ConvOfBits, ServesNeitherLargerCodesNorLargerWeights) {
  std::vector<std::int8_t> weight(4 * 8, 1);
  Requantization r;
  r.multiplier.assign(4, 0.01F);
  const auto serves = [&](ConvShape s, std::int32_t x_qmax) {
    return Int8Conv::make_of_bits_for_tests(s, weight.data(), 0, r, false, x_qmax).defined();
  };
  const ConvShape linear = ConvShape::linear(1, 8, 4);
  EXPECT_TRUE(serves(linear, 3));
  EXPECT_FALSE(serves(linear, 4));
  EXPECT_FALSE(serves({.w = 4, .c = 4, .o = 4, .kw = 2, .dilation_w = 2}, 1));
  EXPECT_TRUE(serves({.w = 4, .c = 8, .o = 4, .groups = 2}, 1));
  EXPECT_FALSE(serves({.w = 4, .c = 8, .o = 4, .groups = 2}, 4));
  weight[17] = 2;
  EXPECT_FALSE(serves(linear, 3));
}

TEST(BitPlanes, HoldEachBitOfEachCode) {
  for (const std::int64_t channels : {1, 5, 8, 31, 32, 64, 70, 128, 200}) {
    constexpr std::int64_t kPixels = 7;
    RandomStream random(static_cast<std::uint64_t>(channels), "planes");
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(kPixels * channels));
    std::ranges::generate(codes, [&] { return static_cast<std::uint8_t>(random.index(4)); });
    const std::int64_t bytes = bytes_of_bits(channels);
    std::vector<std::uint8_t> lower(static_cast<std::size_t>(kPixels * bytes + 8), 0xAA), upper = lower;
    std::vector<std::int32_t> sums(kPixels);
    pack_planes(codes.data(), kPixels, channels, {lower.data(), upper.data(), sums.data()});
    for (std::int64_t pixel = 0; pixel < kPixels; ++pixel) {
      std::int32_t sum = 0;
      for (std::int64_t c = 0; c < 8 * bytes; ++c) {
        const auto at = static_cast<std::size_t>(pixel * bytes + c / 8);
        const int code = (lower[at] >> (c % 8) & 1) + 2 * (upper[at] >> (c % 8) & 1);
        ASSERT_EQ(code, c < channels ? codes[static_cast<std::size_t>(pixel * channels + c)] : 0)
            << channels << " channels, pixel " << pixel << ", channel " << c;
        sum += code;
      }
      EXPECT_EQ(sums[static_cast<std::size_t>(pixel)], sum) << channels << " channels";
    }
    fill_planes(2, kPixels, channels, {lower.data(), upper.data(), sums.data()});
    EXPECT_EQ(sums[3], 2 * channels);
    EXPECT_EQ(int{lower[0]}, 0);
    EXPECT_EQ(upper[static_cast<std::size_t>(bytes - 1)], static_cast<std::uint8_t>(0xFF >> (8 * bytes - channels)));
  }
}

}  // namespace
}  // namespace detent::kernels::bit_product_test
