// What integer sums can come to, proved from the weights' codes.

#include <gtest/gtest.h>

#include "detent/core/philox.h"
#include "detent/quant/kinds/product/integer_product.h"

namespace detent::sum_range_test {
namespace {

using quant::SumRange;

/// By trying every input; also every sum on the way.
SumRange tried(std::span<const std::int8_t> weights, std::int64_t outputs, const QParams& input,
               std::span<const std::int32_t> bias, SumRange& on_the_way) {
  const std::size_t row = weights.size() / static_cast<std::size_t>(outputs);
  const std::int64_t levels = input.codes.qmax - input.codes.qmin + 1;
  std::int64_t inputs = 1;
  for (std::size_t k = 0; k < row; ++k) {
    inputs *= levels;
  }
  SumRange range{1 << 30, -(1 << 30)};
  for (std::int64_t o = 0; o < outputs; ++o) {
    for (std::int64_t number = 0; number < inputs; ++number) {
      std::int64_t sum = 0;
      std::int64_t rest = number;
      for (std::size_t k = 0; k < row; ++k, rest /= levels) {
        const std::int64_t x = input.codes.qmin + rest % levels - input.tensor().zero_point;
        sum += x * weights[static_cast<std::size_t>(o) * row + k];
        on_the_way.lowest = std::min(on_the_way.lowest, sum);
        on_the_way.highest = std::max(on_the_way.highest, sum);
      }
      sum += bias.empty() ? 0 : bias[static_cast<std::size_t>(o)];
      range.lowest = std::min(range.lowest, sum);
      range.highest = std::max(range.highest, sum);
    }
  }
  return range;
}

TEST(SumRange, IsWhatTheWorstInputGives) {
  RandomStream random(1, "sum range");
  for (int trial = 0; trial < 50; ++trial) {
    const std::int64_t outputs = 1 + trial % 3;
    std::vector<std::int8_t> weights(static_cast<std::size_t>(outputs * 5));
    for (std::int8_t& w : weights) {
      w = static_cast<std::int8_t>(static_cast<int>(random.index(255)) - 127);
    }
    const auto zero = static_cast<std::int32_t>(random.index(4));
    const QParams input = QParams::per_tensor({0.5F, zero}, unsigned_codes(2));
    std::vector<std::int32_t> bias;
    for (std::int64_t o = 0; trial % 2 == 0 && o < outputs; ++o) {
      bias.push_back(static_cast<std::int32_t>(random.index(2000)) - 1000);
    }
    const SumRange range = quant::sum_range(Tensor::from(weights, {outputs, 5}), input, bias);
    SumRange on_the_way;
    const SumRange expected = tried(weights, outputs, input, bias, on_the_way);
    EXPECT_EQ(range.lowest, std::min<std::int64_t>(0, expected.lowest)) << "trial " << trial;
    EXPECT_EQ(range.highest, std::max<std::int64_t>(0, expected.highest)) << "trial " << trial;
    if (bias.empty()) {
      EXPECT_LE(range.lowest, on_the_way.lowest);
      EXPECT_GE(range.highest, on_the_way.highest);
    }
  }
}

TEST(SumRange, CountsBitsOfTwosComplement) {
  EXPECT_EQ((SumRange{0, 0}.bits()), 1);
  EXPECT_EQ((SumRange{-1, 0}.bits()), 1);
  EXPECT_EQ((SumRange{0, 1}.bits()), 2);
  EXPECT_EQ((SumRange{-128, 127}.bits()), 8);
  EXPECT_EQ((SumRange{-128, 128}.bits()), 9);
  EXPECT_EQ((SumRange{-32768, 32767}.bits()), 16);
  EXPECT_EQ((SumRange{-32769, 0}.bits()), 17);
  EXPECT_EQ((SumRange{-32769, 0}.bound()), 32769);
}

TEST(SumRange, OfFewBitsFitsInSixteen) {
  // 100 weights of 2 bits and inputs of 2 bits: 100 * 1 * 3.
  const std::vector<std::int8_t> weights(100, 1);
  const QParams input = QParams::per_tensor({1.0F, 0}, unsigned_codes(2));
  const SumRange range = quant::sum_range(Tensor::from(weights, {1, 100}), input, {});
  EXPECT_EQ(range.highest, 300);
  EXPECT_EQ(range.lowest, 0);
  EXPECT_EQ(range.bits(), 10);
}

}  // namespace
}  // namespace detent::sum_range_test
