#include "detent/kernels/codes/histogram.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/pointwise.h"

namespace detent::kernels::histogram_test {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;

TEST(Histogram, CountsByHand) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<float> x{0.0F, 0.49F, 0.5F, 1.99F, 2.0F, -7.0F, 99.0F, std::nanf(""), kInf, -kInf, -0.0F};
  std::vector<double> counts{0, 0, 0, 10};
  count_bins(x, {.lower = 0.0, .per_width = 2.0, .count = 4}, counts);
  EXPECT_THAT(counts, ElementsAre(4, 1, 0, 13)) << "0.5 begins the next bin; beyond the ends counts in the last ones";
  std::vector<double> one{0};
  count_bins(x, {.lower = 5.0, .per_width = 0.0, .count = 1}, one);
  EXPECT_EQ(one[0], 8) << "of no width all lie in the first";
  count_bins({}, {.lower = 5.0, .per_width = 0.0, .count = 1}, one);
  EXPECT_EQ(one[0], 8);
}

TEST(Histogram, IsThatOfTheDefinition) {
  for (const std::int64_t size : {1, 3, 511, 512, 513, 5000}) {
    for (const std::int64_t count : {1, 7, 2048, 4096}) {
      SCOPED_TRACE(std::to_string(size) + " values, " + std::to_string(count) + " bins");
      std::vector<float> x = testing::random_reals<float>(size, 31, -3, 5);
      for (std::size_t i = 0; i < x.size(); i += 2) {
        x[i] = 0.0F;  // a closed ReLU
      }
      const Bins bins{.lower = -2.9, .per_width = static_cast<double>(count) / 7.0, .count = count};
      std::vector<double> expected(static_cast<std::size_t>(count), 0.0);
      for (const float value : x) {
        expected[static_cast<std::size_t>(bins.of(double{value}))] += 1.0;
      }
      std::vector<double> counts(expected.size(), 0.0);
      count_bins(x, bins, counts);
      EXPECT_EQ(counts, expected);
    }
  }
}

TEST(Histogram, RefusesTooManyBinsOrOtherCounts) {
  const std::vector<float> x{1.0F};
  std::vector<double> counts(5000, 0.0);
  EXPECT_THAT(error_of([&] { count_bins(x, {.count = 5000}, counts); }),
              HasSubstr("expected 1 to 4096 bins, got 5000"));
  EXPECT_THAT(error_of([&] { count_bins(x, {.count = 10}, counts); }), HasSubstr("got 10 and 5000 counts"));
}

}  // namespace
}  // namespace detent::kernels::histogram_test
