// Others' rounding rules against values by hand.

#include "detent/kernels/codes/targets/rounding_target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "detent/core/philox.h"
#include "tests/error_of.h"

namespace detent::kernels::rounding_target_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using enum RoundingTarget;

constexpr CodeRange kBytes{0, 255};
constexpr std::int32_t kLowest = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kHighest = std::numeric_limits<std::int32_t>::max();

std::vector<int> quantized(RoundingTarget target, const std::vector<float>& reals, ScaleZero map) {
  std::vector<int> codes;
  for (const float x : reals) {
    codes.push_back(quantize(target, x, map, kBytes));
  }
  return codes;
}

TEST(RoundingTarget, TiesGoToEvenOrAway) {
  const std::vector<float> ties{0.5F, 1.5F, -0.5F, 2.5F};
  for (const RoundingTarget to_even : {Detent, Torch, Onnx}) {
    EXPECT_THAT(quantized(to_even, ties, {1.0F, 10}), ElementsAre(10, 12, 10, 12));
    EXPECT_THAT(quantized(to_even, ties, {1.0F, 11}), ElementsAre(11, 13, 11, 13)) << "the zero point comes after";
  }
  EXPECT_THAT(quantized(Tflite, ties, {1.0F, 10}), ElementsAre(11, 12, 9, 13));
}

TEST(RoundingTarget, TorchMultipliesByTheReciprocal) {
  const ScaleZero map{0.00214854861F, 0};
  EXPECT_EQ(quantize(Torch, 0.273939937F, map, kBytes), 128);
  for (const RoundingTarget divides : {Detent, Onnx, Tflite}) {
    EXPECT_EQ(quantize(divides, 0.273939937F, map, kBytes), 127);
  }
}

TEST(RoundingTarget, ClampsWhateverComes) {
  for (const auto& [name, target] : rounding_targets()) {
    EXPECT_THAT(quantized(target, {-INFINITY, -1e30F, 1e30F, INFINITY, NAN}, {0.1F, 7}), ElementsAre(0, 0, 255, 255, 0))
        << name;
  }
}

TEST(FixedPoint, DoublingHighProduct) {
  using fixed_point::doubling_high_product;
  constexpr std::int32_t kHalf = 1 << 30;
  EXPECT_EQ(doubling_high_product(kLowest, kLowest), kHighest);
  EXPECT_EQ(doubling_high_product(kLowest, kHighest), -kHighest);
  EXPECT_EQ(doubling_high_product(kLowest, kHalf), -kHalf);
  EXPECT_EQ(doubling_high_product(1, kHalf), 1) << "0.5";
  EXPECT_EQ(doubling_high_product(-1, kHalf), 0) << "-0.5";
  EXPECT_EQ(doubling_high_product(3, kHalf), 2) << "1.5";
  EXPECT_EQ(doubling_high_product(-3, kHalf), -1) << "-1.5";
}

TEST(FixedPoint, DivideByPower) {
  using fixed_point::divide_by_power;
  EXPECT_EQ(divide_by_power(7, 0), 7);
  EXPECT_EQ(divide_by_power(1, 1), 1) << "0.5";
  EXPECT_EQ(divide_by_power(-1, 1), -1) << "-0.5";
  EXPECT_EQ(divide_by_power(5, 2), 1) << "1.25";
  EXPECT_EQ(divide_by_power(6, 2), 2) << "1.5";
  EXPECT_EQ(divide_by_power(-6, 2), -2) << "-1.5";
  EXPECT_EQ(divide_by_power(-5, 2), -1) << "-1.25";
  EXPECT_EQ(divide_by_power(kLowest, 31), -1);
  EXPECT_EQ(divide_by_power(kHighest, 31), 1);
}

TEST(FixedPoint, MultiplierOf) {
  using fixed_point::Multiplier;
  using fixed_point::multiplier_of;
  constexpr std::int32_t kHalf = 1 << 30;
  EXPECT_EQ(multiplier_of(0.0), (Multiplier{0, 0}));
  EXPECT_EQ(multiplier_of(0.5), (Multiplier{kHalf, 0}));
  EXPECT_EQ(multiplier_of(1.0), (Multiplier{kHalf, 1}));
  EXPECT_EQ(multiplier_of(0.1), (Multiplier{1717986918, -3}));
  EXPECT_EQ(multiplier_of(std::nextafter(0.5, 0.0)), (Multiplier{kHalf, 0})) << "its mantissa rounds up to 2^31";
  EXPECT_EQ(multiplier_of(std::nextafter(1.0, 0.0)), (Multiplier{kHalf, 1}));
  EXPECT_EQ(multiplier_of(1.0 - 0x1p-31), (Multiplier{kHighest, 0}));
  EXPECT_EQ(multiplier_of(0x1p-32), (Multiplier{kHalf, -31}));
  EXPECT_EQ(multiplier_of(0x1p-33), (Multiplier{0, 0})) << "too small";
}

TEST(FixedPoint, MultiplyRoundsTwice) {
  using fixed_point::multiplier_of;
  using fixed_point::multiply;
  EXPECT_EQ(multiply(1000, multiplier_of(0.5)), 500);
  EXPECT_EQ(multiply(1001, multiplier_of(0.5)), 501);
  EXPECT_EQ(multiply(-1001, multiplier_of(0.5)), -500);
  EXPECT_EQ(multiply(3, multiplier_of(2.0)), 6);
  EXPECT_EQ(multiply(5, multiplier_of(0.1)), 1) << "5 * 0.1 is just below 0.5 in fixed point; 4.0, then 0.5, round up";
  EXPECT_EQ(multiply(kHighest, multiplier_of(0x1p40)), 1 << 30) << "saturates before it is multiplied";
}

std::vector<int> product(RoundingTarget target, const std::vector<std::int32_t>& sums, bool relu,
                         std::vector<std::int32_t> bias = {}) {
  const QParams weight = QParams::per_tensor({0.25F, 0}, signed_codes(8));
  const ProductRounding rounding(target, {0.5F, 3}, weight, bias, 1, {{0.25F, 1}, kBytes, relu});
  std::vector<std::uint8_t> y(sums.size());
  rounding.codes(sums.data(), static_cast<std::int64_t>(sums.size()), y.data());
  return {y.begin(), y.end()};
}

TEST(RoundingTarget, ProductsOfHalves) {
  // Half a sum: 0.5, 1.5, 2.5 and -0.5, and 1 is the zero point.
  const std::vector<std::int32_t> sums{1, 3, 5, -1};
  EXPECT_THAT(product(Detent, sums, false), ElementsAre(2, 2, 4, 0)) << "the zero point before rounding";
  for (const RoundingTarget target : {Torch, Onnx}) {
    EXPECT_THAT(product(target, sums, false), ElementsAre(1, 3, 3, 1)) << "and after it";
  }
  EXPECT_THAT(product(Tflite, sums, false), ElementsAre(2, 3, 4, 1));
  for (const auto& [name, target] : rounding_targets()) {
    EXPECT_THAT(product(target, {-40, kHighest, kLowest}, true), ElementsAre(1, 255, 1)) << name;
    EXPECT_THAT(product(target, {-40, 8, kHighest}, false, {4}), ElementsAre(0, 7, 255)) << name << ", with a bias";
  }
}

TEST(RoundingTarget, ProductsHaveAScaleAChannel) {
  QParams weight{.scale = {0.25F, 0.5F}, .zero_point = {0, 0}, .axis = 0, .codes = signed_codes(8)};
  const std::vector<std::int32_t> acc{10, 10, 20, 20}, bias{2, 0};
  for (const auto& [name, target] : rounding_targets()) {
    const ProductRounding rounding(target, {1.0F, 0}, weight, bias, 2, {{0.25F, 5}, kBytes, false});
    std::vector<std::uint8_t> y(4);
    rounding.codes(acc.data(), 2, y.data());
    EXPECT_THAT(y, ElementsAre(12 + 5, 20 + 5, 22 + 5, 40 + 5)) << name;
  }
  weight.group = 1;
  weight.groups = 2;
  EXPECT_THAT(error_of([&] { ProductRounding(Onnx, {1.0F, 0}, weight, {}, 1, {}); }), HasSubstr("got one a group"));
}

std::vector<int> sums(RoundingTarget target, float output_scale, bool relu = false) {
  const std::vector<std::uint8_t> a{11, 11, 12, 10, 255}, b{20, 22, 23, 17, 255};
  const AddRounding rounding(target, {1.0F, 10}, {1.0F, 20}, {{output_scale, 4}, kBytes, relu});
  std::vector<std::uint8_t> y(a.size());
  rounding.codes(a, b, y.data());
  return {y.begin(), y.end()};
}

TEST(RoundingTarget, SumsOfTwo) {
  // 1 + 0, 1 + 2, 2 + 3, 0 - 3, 245 + 235
  for (const auto& [name, target] : rounding_targets()) {
    EXPECT_THAT(sums(target, 1.0F), ElementsAre(5, 7, 9, 1, 255)) << name;
    EXPECT_THAT(sums(target, 1.0F, true), ElementsAre(5, 7, 9, 4, 255)) << name << " with a ReLU";
  }
  for (const RoundingTarget target : {Detent, Torch, Onnx}) {
    EXPECT_THAT(sums(target, 2.0F), ElementsAre(4, 6, 6, 2, 244)) << "0.5, 1.5, 2.5, -1.5 and 240";
  }
  EXPECT_THAT(sums(Tflite, 2.0F), ElementsAre(5, 6, 7, 2, 244));
}

int average(RoundingTarget target, ScaleZero input, std::vector<std::uint8_t> window, ScaleZero output) {
  return AverageRounding(target, input, 2, output, kBytes).code(window);
}

TEST(RoundingTarget, AveragesOfTwo) {
  const ScaleZero one{1.0F, 0};
  for (const RoundingTarget target : {Detent, Torch, Onnx}) {
    EXPECT_EQ(average(target, one, {0, 1}, one), 0);
    EXPECT_EQ(average(target, one, {128, 129}, one), 128);
    EXPECT_EQ(average(target, one, {254, 255}, one), 254);
    EXPECT_EQ(average(target, one, {254, 255}, {2.0F, 0}), 127) << "127.25";
  }
  EXPECT_EQ(average(Tflite, one, {0, 1}, one), 0) << "away from 128, int8's 0";
  EXPECT_EQ(average(Tflite, one, {128, 129}, one), 129);
  EXPECT_EQ(average(Tflite, one, {254, 255}, one), 255);
  EXPECT_EQ(average(Tflite, one, {254, 255}, {2.0F, 0}), 128) << "255, then 127.5";
  for (const auto& [name, target] : rounding_targets()) {
    EXPECT_EQ(average(target, {1.0F, 4}, {10}, {1.0F, 4}), 7) << name << ": a pixel of padding is real 0";
  }
}

TEST(RoundingTarget, TablesBetweenMaps) {
  for (const auto& [name, target] : rounding_targets()) {
    EXPECT_TRUE(is_identity(requantization_table(target, {0.37F, 9}, {0.37F, 9}, kBytes))) << name;
  }
  const auto halves = [](RoundingTarget target) {
    const CodeTable table = requantization_table(target, {1.0F, 0}, {2.0F, 0}, kBytes);
    return std::vector<int>{table[1], table[3], table[5]};
  };
  for (const RoundingTarget target : {Detent, Torch, Onnx}) {
    EXPECT_THAT(halves(target), ElementsAre(0, 2, 2));
  }
  EXPECT_THAT(halves(Tflite), ElementsAre(1, 2, 3));
  // TFLite's tables of functions multiply by the reciprocal, too: 127.5 here.
  CodeReals reals{};
  reals.fill(0.273939937);
  EXPECT_EQ(make_code_table(Tflite, reals, {0.00214854861F, 0}, kBytes)[0], 128);
  EXPECT_EQ(make_code_table(Onnx, reals, {0.00214854861F, 0}, kBytes)[0], 127);
}

TEST(RoundingTarget, SoftmaxOfCodes) {
  for (const RoundingTarget target : {Torch, Onnx}) {
    ASSERT_TRUE(has_softmax(target));
    std::vector<std::uint8_t> y(3);
    softmax(target, std::vector<std::uint8_t>{5, 5, 0}, {std::log(2.0F), 3}, {1.0F / 256, 0}, kBytes, y.data());
    EXPECT_THAT(y, ElementsAre(126, 126, 4)) << "32, 32 and 1 of 65";
  }
  EXPECT_FALSE(has_softmax(Tflite));
}

/// x / s and x * (1 / s) are then the same number.
TEST(RoundingTarget, TorchIsOnnxOnScalesOfPowersOfTwo) {
  RandomStream random(1, "reals");
  int differing = 0;
  for (int i = 0; i < 20000; ++i) {
    const float x = random.uniform(-2.0F, 2.0F);
    const ScaleZero power{std::ldexp(1.0F, -7), 128}, other{0.013F, 128};
    ASSERT_EQ(quantize(Torch, x, power, kBytes), quantize(Onnx, x, power, kBytes)) << x;
    const float tie = (static_cast<float>(random.index(200)) + 0.5F) * other.scale;
    differing += quantize(Torch, tie, other, kBytes) != quantize(Onnx, tie, other, kBytes) ? 1 : 0;
  }
  EXPECT_GT(differing, 0) << "on another scale, near its ties";
  const ScaleZero a{0.25F, 100}, b{0.125F, 90}, y{0.5F, 120};
  EXPECT_EQ(requantization_table(Torch, b, y, kBytes), requantization_table(Onnx, b, y, kBytes));
  std::vector<std::uint8_t> of_torch(256), of_onnx(256), codes(256);
  for (std::size_t q = 0; q < 256; ++q) {
    codes[q] = static_cast<std::uint8_t>(q);
  }
  for (std::uint8_t other = 0; other < 200; other += 7) {
    const std::vector<std::uint8_t> others(256, other);
    AddRounding(Torch, a, b, {y, kBytes, false}).codes(codes, others, of_torch.data());
    AddRounding(Onnx, a, b, {y, kBytes, false}).codes(codes, others, of_onnx.data());
    ASSERT_EQ(of_torch, of_onnx);
    const std::vector<std::uint8_t> window{other, 17, 200, 3};
    ASSERT_EQ(AverageRounding(Torch, a, 4, y, kBytes).code(window),
              AverageRounding(Onnx, a, 4, y, kBytes).code(window));
  }
}

}  // namespace
}  // namespace detent::kernels::rounding_target_test
