#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "detent/kernels/codes/quantize.h"
#include "tests/kernels/pointwise.h"

namespace detent::kernels::requantize_test {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

// What DESIGN 5 says of one sum, an f32 operation a line.
struct Expected {
  std::int32_t code;
  bool passes;
  float real;
};

Expected expect_code(float scaled, float real, bool is_positive, const Requantization& r) {
  const auto zero_point = static_cast<float>(r.output.zero_point);
  const float unrounded = scaled + zero_point;
  const double code = static_cast<double>(std::nearbyint(unrounded));
  const double lower = r.relu ? std::max(r.codes.qmin, r.output.zero_point) : r.codes.qmin;
  const double clamped = std::min(std::max(code, lower), static_cast<double>(r.codes.qmax));
  const bool inside = code >= r.codes.qmin && code <= r.codes.qmax;
  return {static_cast<std::int32_t>(clamped), inside && (!r.relu || is_positive), r.relu && !(real > 0) ? 0.0F : real};
}

Expected reference(std::int32_t acc, const Requantization& r, std::size_t o) {
  const float bias = r.bias.empty() ? 0.0F : r.bias[o];
  const float sum = static_cast<float>(acc) + bias;
  const float scaled = sum * r.multiplier[o];
  return expect_code(scaled, sum * r.real_scale[o], sum > 0, r);
}

struct Results {
  std::vector<std::uint8_t> y;
  std::vector<std::uint8_t> mask;
  MinMax seen;
};

void expect_results(const Results& results, const std::vector<Expected>& expected) {
  MinMax seen;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_EQ(results.y[i], expected[i].code) << "code " << i;
    ASSERT_EQ(results.mask[i / 8] >> (i % 8) & 1, expected[i].passes ? 1 : 0) << "mask bit " << i;
    seen.include({expected[i].real, expected[i].real});
  }
  for (std::size_t i = expected.size(); i < results.mask.size() * 8; ++i) {
    ASSERT_EQ(results.mask[i / 8] >> (i % 8) & 1, 0) << "mask bit " << i << " past the end";
  }
  EXPECT_EQ(results.seen.min, seen.min);
  EXPECT_EQ(results.seen.max, seen.max);
}

void check_requantize(const std::vector<std::int32_t>& acc, const Requantization& r) {
  const auto n = static_cast<std::int64_t>(acc.size());
  const auto rows = n / static_cast<std::int64_t>(r.multiplier.size());
  Results results{std::vector<std::uint8_t>(acc.size()),
                  std::vector<std::uint8_t>(static_cast<std::size_t>(mask_bytes(n)), 0xff),
                  {}};
  requantize(acc.data(), rows, r, results.y.data(), results.mask.data(), &results.seen);
  std::vector<Expected> expected;
  for (std::size_t i = 0; i < acc.size(); ++i) {
    expected.push_back(reference(acc[i], r, i % r.multiplier.size()));
  }
  expect_results(results, expected);
  std::vector<std::uint8_t> codes_only(acc.size());
  requantize(acc.data(), rows, r, codes_only.data());
  testing::expect_same_bits("codes alone", codes_only, results.y);
  std::vector<float> reals(acc.size());
  real_values(acc.data(), rows, r, reals.data());
  for (std::size_t i = 0; i < acc.size(); ++i) {
    ASSERT_EQ(reals[i], expected[i].real) << "real value " << i;
  }
}

QParams weight_scales(std::int64_t outputs, std::uint64_t seed, bool per_channel) {
  std::vector<float> scales = testing::random_reals<float>(per_channel ? outputs : 1, seed, 1e-4, 2e-2);
  return {scales, std::vector<std::int32_t>(scales.size(), 0), per_channel ? 0 : -1, signed_codes(8)};
}

TEST(MakeRequantization, FollowsTheFormula) {
  const QParams weight{{0.25F, 0.5F, 0.125F}, {0, 0, 0}, 0, signed_codes(8)};
  const std::vector<float> bias{1.0F, -0.375F, 1e30F};
  const Requantization r = make_requantization({0.5F, 7}, weight, bias, 3, {0.25F, 3}, unsigned_codes(8), true);
  EXPECT_EQ(r.multiplier, (std::vector<float>{0.5F, 1.0F, 0.25F}));
  EXPECT_EQ(r.real_scale, (std::vector<float>{0.125F, 0.25F, 0.0625F}));
  EXPECT_EQ(r.bias, (std::vector<float>{8.0F, -2.0F, 1.6e31F})) << "-1.5 is a tie, and 1e30 is kept";
  EXPECT_EQ(r.output, (ScaleZero{0.25F, 3}));
  EXPECT_TRUE(r.relu);
  // The product of the scales is not rounded to f32 on its way.
  const float sx = 0.1F;
  const float sw = 0.3F;
  const Requantization one = make_requantization({sx, 0}, QParams::per_tensor({sw, 0}, signed_codes(8)), {}, 2,
                                                 {0.7F, 0}, unsigned_codes(8), false);
  EXPECT_EQ(one.multiplier[1], static_cast<float>(double{sx} * double{sw} / double{0.7F}));
}

TEST(MakeRequantization, BiasIsRoundedToNearestEven) {
  const QParams weight = QParams::per_tensor({1.0F, 0}, signed_codes(8));
  const std::vector<float> bias{0.5F, 1.5F, 2.5F, -0.5F, -1.5F, 0.49999997F, -7.75F, 16777216.0F};
  const Requantization r = make_requantization({1.0F, 0}, weight, bias, 8, {1.0F, 0}, unsigned_codes(8), false);
  EXPECT_EQ(r.bias, (std::vector<float>{0, 2, 2, 0, -2, 0, -8, 16777216}));
  EXPECT_EQ(bias_codes({1.0F, 0}, weight, bias), (std::vector<std::int32_t>{0, 2, 2, 0, -2, 0, -8, 16777216}));
}

TEST(MakeRequantization, NoBiasSaturates) {
  const QParams weight{{0.5F, 0.5F}, {0, 0}, 0, signed_codes(8)};
  const auto codes = [&](float bias) { return bias_codes({2.0F, 0}, weight, std::vector<float>{0.0F, bias})[1]; };
  EXPECT_EQ(codes(0x1p30F), kLargestBias);
  EXPECT_EQ(codes(-0x1p30F), -kLargestBias);
  for (const float bias : {0x1.000002p30F, -0x1.000002p30F, 1e30F, std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_THAT(error_of([&] { codes(bias); }), HasSubstr("bias: element 1: expected at most 2^30 times")) << bias;
  }
  for (const float bias : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_THAT(
        error_of([&] {
          make_requantization({1.0F, 0}, weight, std::vector<float>{0.0F, bias}, 2, {}, unsigned_codes(8), false);
        }),
        HasSubstr("requantize: bias of output 1: expected a finite number"))
        << bias;
  }
}

TEST(ScaleForBias, IsTheSmallestThatHoldsTheBias) {
  RandomStream random(4, "scales");
  int raised = 0;
  for (int i = 0; i < 20000; ++i) {
    const float scale = std::ldexp(1.0F + random.uniform(), -static_cast<int>(random.index(60)));
    const float input = std::ldexp(1.0F + random.uniform(), -static_cast<int>(random.index(60)));
    const float bias = std::ldexp(random.uniform(-1.0F, 1.0F), 30 - static_cast<int>(random.index(60)));
    const float result = scale_for_bias(scale, bias, input);
    const QParams weight = QParams::per_tensor({result, 0}, signed_codes(8));
    const std::int32_t code = bias_codes({input, 0}, weight, std::vector<float>{bias})[0];
    ASSERT_LE(std::abs(std::int64_t{code}), kLargestBias)
        << "scale " << scale << ", input " << input << ", bias " << bias;
    if (result != scale) {
      ++raised;
      ASSERT_GT(result, scale);
      const double below = double{std::nextafter(result, 0.0F)};
      ASSERT_TRUE(below < double{scale} || 0x1p30 * double{input} * below < std::abs(double{bias}))
          << "scale " << scale << ", input " << input << ", bias " << bias << ": " << result << " is too large";
      ASSERT_NEAR(double{input} * double{result} * code, double{bias}, 0x1p-23 * std::abs(double{bias}));
    }
  }
  EXPECT_GT(raised, 1000);
  EXPECT_LT(raised, 19000);
  EXPECT_EQ(scale_for_bias(0.25F, 0x1p28F, 1.0F), 0.25F) << "at the border";
  EXPECT_EQ(scale_for_bias(0x1p-60F, 3.0F, 0x1p-60F), 0x1.8p31F);
  for (const float bias : {3e38F, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_THAT(error_of([&] { scale_for_bias(1.0F, bias, 0x1p-60F); }), HasSubstr("bias: expected a number that fits"))
        << bias;
  }
}

TEST(Requantize, ScalesFarApartGiveNoNaN) {
  constexpr float kSmall = 0x1p-60F;
  constexpr float kLarge = 1e36F;
  for (const float sx : {kSmall, 1.0F, kLarge}) {
    for (const float sw : {kSmall, 1.0F, kLarge}) {
      for (const float sy : {kSmall, 1.0F, kLarge}) {
        SCOPED_TRACE("scales " + std::to_string(sx) + ", " + std::to_string(sw) + ", " + std::to_string(sy));
        const Requantization r = make_requantization({sx, 0}, QParams::per_tensor({sw, 0}, signed_codes(8)), {}, 1,
                                                     {sy, 9}, unsigned_codes(8), false);
        const std::vector<std::int32_t> acc{0, 1, -1, 1 << 30};
        std::vector<std::uint8_t> y(4), added(4), mask(1);
        requantize(acc.data(), 4, r, y.data(), mask.data());
        EXPECT_EQ(y[0], 9) << "a sum of 0 is real 0";
        const double m = double{sx} * double{sw} / double{sy};
        for (std::size_t i = 0; i < acc.size(); ++i) {
          EXPECT_EQ(y[i], std::clamp(std::nearbyint(acc[i] * m + 9), 0.0, 255.0)) << "sum " << acc[i];
        }
        requantize_add(std::vector<std::uint8_t>{5, 4, 6, 5}, {sx, 5}, std::vector<std::uint8_t>{5, 5, 5, 5}, {sw, 5},
                       {sy, 9}, unsigned_codes(8), false, added.data(), mask.data());
        EXPECT_EQ(added[0], 9);
        EXPECT_EQ(added[1], std::clamp(std::nearbyint(9 - double{sx} / double{sy}), 0.0, 255.0));
        EXPECT_EQ(added[2], std::clamp(std::nearbyint(9 + double{sx} / double{sy}), 0.0, 255.0));
        EXPECT_LE(make_average_requantization({sx, 0}, 2, 1, {sy, 0}, unsigned_codes(8)).multiplier[0], 0x1p64F);
      }
    }
  }
}

TEST(MakeRequantization, RefusesWrongCounts) {
  const QParams weight{{1, 1}, {0, 0}, 0, signed_codes(8)};
  EXPECT_THAT(error_of([&] { make_requantization({}, weight, {}, 3, {}, unsigned_codes(8), false); }),
              HasSubstr("expected 1 or 3 weight scales, got 2"));
  const std::vector<float> bias(5);
  EXPECT_THAT(error_of([&] { make_requantization({}, weight, bias, 2, {}, unsigned_codes(8), false); }),
              HasSubstr("expected 2 biases or none, got 5"));
}

TEST(Requantize, RandomSumsOfEveryShape) {
  std::uint64_t seed = 100;
  for (const std::int64_t outputs : {1, 2, 3, 8, 10, 15, 16, 17, 20, 32, 50, 64, 65, 128, 255, 256, 300, 513}) {
    for (const std::int64_t rows : {1, 2, 7, 64, 131}) {
      for (const bool relu : {false, true}) {
        SCOPED_TRACE("outputs " + std::to_string(outputs) + ", rows " + std::to_string(rows) + ", seed " +
                     std::to_string(seed) + (relu ? ", relu" : ""));
        RandomStream random(++seed, "sums");
        std::vector<std::int32_t> acc(static_cast<std::size_t>(outputs * rows));
        for (std::int32_t& a : acc) {
          a = static_cast<std::int32_t>(random.bits()) >> (8 + random.index(16));
        }
        const std::vector<float> bias = testing::random_reals<float>(seed % 3 == 0 ? 0 : outputs, seed, -2, 2);
        const CodeRange codes = unsigned_codes(2 + static_cast<int>(seed % 7));
        const ScaleZero output{0.01F + 0.3F * random.uniform(),
                               static_cast<std::int32_t>(random.index(static_cast<std::uint32_t>(codes.qmax + 1)))};
        check_requantize(acc, make_requantization({0.02F, 5}, weight_scales(outputs, seed, seed % 2 == 0), bias,
                                                  outputs, output, codes, relu));
      }
    }
  }
}

TEST(Requantize, TiesAndBordersOfTheCodesArePinned) {
  // A multiplier of 1/2 makes every odd sum a tie.
  std::vector<std::int32_t> acc;
  for (std::int32_t a = -600; a <= 600; ++a) {
    acc.push_back(a);
  }
  for (const std::int32_t zero : {0, 1, 127, 128, 255}) {
    for (const bool relu : {false, true}) {
      for (const int bits : {2, 5, 8}) {
        SCOPED_TRACE("zero point " + std::to_string(zero) + ", bits " + std::to_string(bits));
        const CodeRange codes = unsigned_codes(bits);
        check_requantize(acc, make_requantization({1.0F, 0}, QParams::per_tensor({0.5F, 0}, signed_codes(8)), {}, 1,
                                                  {1.0F, std::min(zero, codes.qmax)}, codes, relu));
      }
    }
  }
}

TEST(Requantize, TheLargestSumsAreRoundedToFloatOneByOne) {
  constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();
  constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();
  const std::vector<std::int32_t> acc{kMax, kMin, kMax - 63, 16777217, 16777219, -16777217, 0, 1, -1, 33554433};
  for (const float scale : {1e-9F, 1e-7F, 1.0F, 1e9F}) {
    const std::vector<float> bias{16777217.0F * scale};
    check_requantize(acc, make_requantization({1.0F, 0}, QParams::per_tensor({scale, 0}, signed_codes(8)), bias, 1,
                                              {0.05F, 9}, unsigned_codes(8), false));
  }
}

TEST(Requantize, TheProductIsRoundedBeforeTheZeroPointIsAdded) {
  // Products next to the tie -190.5, which the zero point brings where f32 is finer: a fused multiply-add would tell
  // on which side of 9.5 they lie.
  Requantization r{{}, {}, {}, {1.0F, 200}, unsigned_codes(8), false};
  std::vector<std::int32_t> acc;
  int fused_differs = 0;
  for (std::int32_t s = 3; s < 2003; ++s) {
    acc.push_back(-s);
    r.multiplier.push_back(190.5F / static_cast<float>(s));
    r.real_scale.push_back(1.0F);
    const float fused = std::fma(static_cast<float>(-s), r.multiplier.back(), 200.0F);
    const Expected separate = reference(-s, r, r.multiplier.size() - 1);
    fused_differs += static_cast<int>(std::nearbyint(fused)) != separate.code ? 1 : 0;
  }
  EXPECT_GT(fused_differs, 100) << "the numbers of this test are badly chosen";
  check_requantize(acc, r);
}

TEST(Requantize, IncludesWhatWasSeenBefore) {
  const Requantization r = make_requantization({1.0F, 0}, QParams::per_tensor({0.5F, 0}, signed_codes(8)), {}, 2,
                                               {1.0F, 0}, unsigned_codes(8), false);
  const std::vector<std::int32_t> acc{4, -6};
  std::vector<std::uint8_t> y(2);
  MinMax seen{-1, 9};
  requantize(acc.data(), 1, r, y.data(), nullptr, &seen);
  EXPECT_EQ(seen, (MinMax{-3, 9}));
  requantize(acc.data(), 0, r, y.data(), nullptr, &seen);
  EXPECT_EQ(seen, (MinMax{-3, 9})) << "no rows";
}

TEST(RequantizeAverage, FollowsTheFormula) {
  const Requantization r = make_average_requantization({0.5F, 7}, 4, 3, {0.25F, 2}, unsigned_codes(8));
  EXPECT_EQ(r.multiplier, std::vector<float>(3, 0.5F));
  EXPECT_EQ(r.real_scale, std::vector<float>(3, 0.125F));
  EXPECT_TRUE(r.bias.empty());
  EXPECT_EQ(make_average_requantization({0.1F, 0}, 49, 1, {0.3F, 0}, unsigned_codes(8)).multiplier[0],
            static_cast<float>(double{0.1F} / (49 * double{0.3F})));
}

TEST(RequantizeAdd, EveryPairOfCodes) {
  std::vector<std::uint8_t> a;
  std::vector<std::uint8_t> b;
  for (int i = 0; i < 65536; ++i) {
    a.push_back(static_cast<std::uint8_t>(i / 256));
    b.push_back(static_cast<std::uint8_t>(i % 256));
  }
  const std::vector<std::array<ScaleZero, 3>> maps{
      {{{0.5F, 0}, {0.5F, 0}, {1.0F, 0}}},            // ties
      {{{0.013F, 17}, {0.4F, 201}, {0.11F, 128}}},    // far apart
      {{{0.02F, 255}, {0.03F, 0}, {0.0001F, 100}}},   // mostly saturated
      {{{0.031F, 128}, {0.027F, 120}, {0.05F, 77}}},  // like a residual block's
  };
  for (std::size_t m = 0; m < maps.size(); ++m) {
    for (const bool relu : {false, true}) {
      SCOPED_TRACE("maps " + std::to_string(m) + (relu ? " with relu" : ""));
      const auto& [sa, sb, sy] = maps[m];
      const Requantization r{{}, {}, {}, sy, unsigned_codes(8), relu};
      Results results{std::vector<std::uint8_t>(a.size()), std::vector<std::uint8_t>(a.size() / 8, 0xff), {}};
      requantize_add(a, sa, b, sb, sy, r.codes, relu, results.y.data(), results.mask.data(), &results.seen);
      const auto ma = static_cast<float>(double{sa.scale} / double{sy.scale});
      const auto mb = static_cast<float>(double{sb.scale} / double{sy.scale});
      std::vector<Expected> expected;
      for (std::size_t i = 0; i < a.size(); ++i) {
        const auto pa = static_cast<float>(a[i] - sa.zero_point);
        const auto pb = static_cast<float>(b[i] - sb.zero_point);
        const float left = pa * ma;
        const float right = pb * mb;
        const float real_left = pa * sa.scale;
        const float real_right = pb * sb.scale;
        expected.push_back(expect_code(left + right, real_left + real_right, left + right > 0, r));
      }
      expect_results(results, expected);
    }
  }
}

TEST(RequantizeAdd, OddSizesAndAMismatch) {
  for (std::int64_t n = 0; n < 70; ++n) {
    const std::vector<std::uint8_t> a = testing::random_bytes(n, 1);
    const std::vector<std::uint8_t> b = testing::random_bytes(n, 2);
    std::vector<std::uint8_t> y(a.size());
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(mask_bytes(n)), 0xff);
    requantize_add(a, {1, 0}, b, {1, 0}, {2, 0}, unsigned_codes(8), false, y.data(), mask.data());
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_EQ(y[i], static_cast<int>(std::nearbyint((a[i] + b[i]) / 2.0))) << i << " of " << n;
    }
    for (std::size_t i = a.size(); i < mask.size() * 8; ++i) {
      ASSERT_EQ(mask[i / 8] >> (i % 8) & 1, 0) << "bit " << i << " past the end of " << n;
    }
  }
  const std::vector<std::uint8_t> two(2);
  const std::vector<std::uint8_t> three(3);
  std::vector<std::uint8_t> y(3);
  EXPECT_THAT(error_of([&] { requantize_add(two, {}, three, {}, {}, unsigned_codes(8), false, y.data()); }),
              HasSubstr("expected two tensors of one size, got 2 and 3"));
}

}  // namespace
}  // namespace detent::kernels::requantize_test
