#include "detent/core/philox.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <string>
#include <vector>

namespace detent::philox_test {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The three known answers for philox 4x32 10 that come with the Random123 library (kat_vectors).
TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, IsAFunctionOfSeedPurposeAndIndex) {
  RandomStream stream(7, "shuffle", 3);
  RandomStream same(7, "shuffle", 3);
  const std::vector<RandomStream> others{{8, "shuffle", 3}, {7, "shuffle", 4}, {7, "dropout", 3}};
  for (std::uint64_t i = 0; i < 100; ++i) {
    const std::uint32_t word = stream.bits();
    EXPECT_EQ(same.bits(), word) << "at " << i;
    EXPECT_EQ(same.bits_at(i), word) << "at " << i;
    for (const RandomStream& other : others) {
      EXPECT_NE(other.bits_at(i), word) << "at " << i;
    }
  }
}

TEST(RandomStream, BitsAtDoesNotMoveTheStream) {
  RandomStream stream(1, "position");
  const std::uint32_t second = stream.bits_at(1);
  stream.bits();
  stream.bits_at(1'000'000'000'000);
  EXPECT_EQ(stream.bits(), second);
}

TEST(RandomStream, UniformStaysBelowOneAndHasItsMoments) {
  RandomStream stream(1, "uniform");
  constexpr int kCount = 100'000;
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const float value = stream.uniform();
    ASSERT_GE(value, 0.0F) << "at " << i;
    ASSERT_LT(value, 1.0F) << "at " << i;
    ASSERT_EQ(std::ldexp(value, 24), std::floor(std::ldexp(value, 24))) << "a multiple of 2^-24, at " << i;
    sum += value;
    squares += double{value} * value;
  }
  EXPECT_NEAR(sum / kCount, 0.5, 0.005);
  EXPECT_NEAR(squares / kCount, 1.0 / 3, 0.005);
}

TEST(RandomStream, UniformOfARangeStaysInIt) {
  RandomStream stream(1, "range");
  for (int i = 0; i < 10'000; ++i) {
    const float value = stream.uniform(-3.0F, 5.0F);
    ASSERT_GE(value, -3.0F) << "at " << i;
    ASSERT_LT(value, 5.0F) << "at " << i;
  }
}

TEST(RandomStream, NormalHasItsMoments) {
  RandomStream stream(1, "normal");
  constexpr int kCount = 100'000;
  double sum = 0;
  double squares = 0;
  int beyond_two = 0;
  for (int i = 0; i < kCount; ++i) {
    const float value = stream.normal();
    ASSERT_TRUE(std::isfinite(value)) << "at " << i;
    sum += value;
    squares += double{value} * value;
    beyond_two += std::fabs(value) > 2.0F;
  }
  EXPECT_NEAR(sum / kCount, 0.0, 0.015);
  EXPECT_NEAR(squares / kCount, 1.0, 0.02);
  EXPECT_NEAR(static_cast<double>(beyond_two) / kCount, 0.0455, 0.004);
}

TEST(RandomStream, IndexReachesEveryValueEquallyOften) {
  RandomStream stream(1, "index");
  constexpr std::uint32_t kValues = 7;
  constexpr int kCount = 70'000;
  std::vector<int> counts(kValues);
  for (int i = 0; i < kCount; ++i) {
    const std::uint32_t value = stream.index(kValues);
    ASSERT_LT(value, kValues) << "at " << i;
    ++counts[value];
  }
  for (std::uint32_t value = 0; value < kValues; ++value) {
    EXPECT_NEAR(counts[value], kCount / static_cast<int>(kValues), 500) << "value " << value;
  }
  EXPECT_EQ(stream.index(1), 0U);
}

}  // namespace
}  // namespace detent::philox_test
