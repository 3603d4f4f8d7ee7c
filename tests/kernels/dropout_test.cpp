#include "detent/kernels/layers/dropout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kernels/pointwise.h"

namespace detent::kernels::dropout_test {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

struct Result {
  std::vector<double> y;
  std::vector<std::uint8_t> mask;
};

Result drop(const std::vector<double>& x, double p, const RandomStream& stream) {
  Result result{std::vector<double>(x.size()), std::vector<std::uint8_t>((x.size() + 7) / 8, 0xff)};
  dropout_forward(static_cast<std::int64_t>(x.size()), x.data(), p, stream, result.mask.data(), result.y.data());
  return result;
}

TEST(Dropout, KeepsWhereTheStreamSaysAndScales) {
  const RandomStream stream(7, "dropout", 3);
  for (const double p : {0.0, 0.2, 0.5, 0.999, 1.0}) {
    for (const std::int64_t n : {0, 1, 7, 8, 9, 64, 1003, 70001}) {
      SCOPED_TRACE("p " + std::to_string(p) + ", " + std::to_string(n) + " elements");
      const std::vector<double> x = testing::random_reals<double>(n, 51);
      const Result result = drop(x, p, stream);
      for (std::size_t i = 0; i < x.size(); ++i) {
        const bool keep = static_cast<double>(stream.bits_at(i)) >= std::floor(p * 4294967296.0);
        ASSERT_EQ(result.mask[i / 8] >> (i % 8) & 1, keep ? 1 : 0) << "mask bit " << i;
        ASSERT_EQ(result.y[i], keep ? x[i] * (1 / (1 - p)) : 0.0) << i;
      }
      for (std::size_t i = x.size(); i < result.mask.size() * 8; ++i) {
        ASSERT_EQ(result.mask[i / 8] >> (i % 8) & 1, 0) << "mask bit " << i << " past the end";
      }
    }
  }
}

TEST(Dropout, AWordThatIsTheThresholdIsKept) {
  const RandomStream stream(5, "threshold");
  const std::vector<double> x(16, 1.0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double p = static_cast<double>(stream.bits_at(i)) / 4294967296.0;
    EXPECT_NE(drop(x, p, stream).y[i], 0) << i;
  }
}

TEST(Dropout, KeepsTheShareThatItShould) {
  const std::vector<double> ones(100000, 1.0);
  for (const double p : {0.1, 0.25, 0.5, 0.9}) {
    double sum = 0;
    for (const double v : drop(ones, p, RandomStream(1, "share")).y) {
      sum += v;
    }
    const double deviation = std::sqrt(p / (1 - p) / 1e5);
    EXPECT_NEAR(sum / 1e5, 1, 5 * deviation) << "p " << p;
  }
}

TEST(Dropout, BackwardPassesWhereItKept) {
  const std::vector<double> x = testing::random_reals<double>(1003, 52);
  const std::vector<double> dy = testing::random_reals<double>(1003, 53);
  const Result result = drop(x, 0.25, RandomStream(2, "backward"));
  std::vector<double> dx(dy.size(), 99);
  dropout_backward(1003, dy.data(), 0.25, result.mask.data(), dx.data());
  for (std::size_t i = 0; i < dx.size(); ++i) {
    const bool keep = (result.mask[i / 8] >> (i % 8) & 1) != 0;
    ASSERT_EQ(dx[i], keep ? dy[i] * (1 / 0.75) : 0.0) << i;
  }
}

TEST(Dropout, WhatIsDroppedIsZeroEvenIfInfinite) {
  const std::vector<double> x(64, std::numeric_limits<double>::infinity());
  for (const double v : drop(x, 1.0, RandomStream(3, "infinite")).y) {
    ASSERT_EQ(v, 0);
  }
}

TEST(Dropout, RefusesWhatIsNoProbability) {
  EXPECT_THAT(error_of([] { drop({1.0}, 1.01, RandomStream(1, "p")); }), HasSubstr("p in [0, 1], got 1.01"));
  EXPECT_THAT(error_of([] { drop({1.0}, -0.5, RandomStream(1, "p")); }), HasSubstr("got -0.5"));
  EXPECT_THAT(error_of([] { drop({1.0}, std::nan(""), RandomStream(1, "p")); }), HasSubstr("got nan"));
}

TEST(Dropout, SameBitsOnAnyNumberOfThreads) {
  const std::vector<float> x = testing::random_reals<float>(300001, 54);
  std::vector<std::uint8_t> mask(300001 / 8 + 1);
  testing::expect_same_on_threads<float>("dropout", [&] {
    std::vector<float> y(x.size());
    dropout_forward(300001, x.data(), 0.3, RandomStream(4, "threads"), mask.data(), y.data());
    return y;
  });
}

}  // namespace
}  // namespace detent::kernels::dropout_test
