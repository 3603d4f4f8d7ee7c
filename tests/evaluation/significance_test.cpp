#include "detent/evaluation/significance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "detent/core/error.h"
#include "detent/evaluation/reproduction.h"
#include "tests/error_of.h"

namespace detent::evaluation::significance_test {
namespace {

TEST(Spread, IsMeanDeviationAndEnds) {
  const Spread spread = spread_of(std::vector{1.0, 2.0, 6.0});
  EXPECT_DOUBLE_EQ(spread.mean, 3.0);
  EXPECT_DOUBLE_EQ(spread.deviation, std::sqrt(7.0));  // (4 + 1 + 9) / 2
  EXPECT_EQ(spread.min, 1.0);
  EXPECT_EQ(spread.max, 6.0);
  EXPECT_EQ(spread_of(std::vector{5.0}).deviation, 0.0);
  EXPECT_NE(error_of([] { spread_of({}); }), "no error");
}

// By hand: 81 of 263 (Newcombe 1998, table I, method 3), and the ends.
TEST(WilsonInterval, IsThatOfTheLiterature) {
  const Interval interval = wilson_interval(81.0 / 263.0, 263);
  EXPECT_NEAR(interval.low, 0.2553, 5e-5);
  EXPECT_NEAR(interval.high, 0.3662, 5e-5);
  const Interval none = wilson_interval(0.0, 20);
  EXPECT_EQ(none.low, 0.0);
  EXPECT_NEAR(none.high, 0.1611, 5e-5);
  EXPECT_NEAR(wilson_interval(1.0, 20).low, 1.0 - 0.1611, 5e-5);
  EXPECT_EQ(wilson_interval(1.0, 20).high, 1.0);
  EXPECT_NE(error_of([] { wilson_interval(0.5, 0); }), "no error");
}

TEST(StudentInterval, WidensWithFewSeeds) {
  const Interval three = student_interval(std::vector{0.98, 0.99, 1.0});
  EXPECT_NEAR(three.low, 0.99 - 4.303 * 0.01 / std::sqrt(3.0), 1e-12);
  EXPECT_NEAR(three.high, 0.99 + 4.303 * 0.01 / std::sqrt(3.0), 1e-12);
  const Interval two = student_interval(std::vector{0.0, 2.0});
  EXPECT_NEAR(two.high - two.low, 2 * 12.706, 1e-9);
  EXPECT_NE(error_of([] { student_interval(std::vector{1.0}); }), "no error");
  EXPECT_NE(error_of([] { student_interval(std::vector<double>(31, 1.0)); }), "no error");
}

TEST(ExactBinomial, CountsTosses) {
  EXPECT_DOUBLE_EQ(exact_binomial(0, 0), 1.0);
  EXPECT_NEAR(exact_binomial(1, 9), 2.0 * 11.0 / 1024.0, 1e-12);
  EXPECT_NEAR(exact_binomial(9, 1), 2.0 * 11.0 / 1024.0, 1e-12);
  EXPECT_NEAR(exact_binomial(0, 5), 2.0 / 32.0, 1e-12);
  EXPECT_NEAR(exact_binomial(7, 7), 1.0, 1e-12);
  EXPECT_NEAR(exact_binomial(7, 8), 1.0, 1e-12);  // twice the half
  EXPECT_NEAR(exact_binomial(2000, 2100), 0.1219, 2e-3) << "many tosses: nearly normal, z = 99 / 64.03";
}

TEST(PairedTest, CountsWhatOnlyOneGetsRight) {
  //                                     both right, lost, lost, won, both wrong, both wrong in two ways
  const std::vector<std::int32_t> labels{0, 1, 2, 3, 4, 5};
  const std::vector<std::int32_t> first{0, 1, 2, 0, 0, 0};
  const std::vector<std::int32_t> second{0, 0, 0, 3, 0, 1};
  const PairedTest test = paired_test(first, second, labels);
  EXPECT_EQ(test.lost, 2);
  EXPECT_EQ(test.won, 1);
  EXPECT_EQ(test.changed, 4);
  EXPECT_DOUBLE_EQ(test.p_value, 1.0);
  EXPECT_NE(error_of([&] { paired_test(first, std::vector<std::int32_t>{1}, labels); }), "no error");
}

// By hand: n' = 102, d = -6/102, variance (10 + 1) / 102 - d^2.
TEST(PairedInterval, IsThatOfAgrestiAndMin) {
  const Interval interval = paired_interval(8, 2, 100);
  const double d = -6.0 / 102.0;
  const double reach = 1.959964 * std::sqrt((11.0 / 102.0 - d * d) / 102.0);
  EXPECT_NEAR(interval.low, d - reach, 1e-12);
  EXPECT_NEAR(interval.high, d + reach, 1e-12);
  EXPECT_NEAR(paired_interval(0, 0, 10000).high, 1.959964 / 10002.0, 1e-9) << "equal predictions prove little of few";
  EXPECT_EQ(paired_interval(1, 0, 1).low, -1.0) << "within what can be";
  EXPECT_NE(error_of([] { paired_interval(1, 1, 1); }), "no error");
  EXPECT_NE(error_of([] { paired_interval(0, 0, 0); }), "no error");
}

TEST(Reproduction, FailsWhereAMeanIsTooLowOrARunFailed) {
  Reproduction table;
  ReproducedRow row{.name = "4/4", .at_least = 0.995};
  row.runs = {{.seed = 1, .correct = 9950, .images = 10000}, {.seed = 2, .correct = 9950, .images = 10000}};
  table.rows = {row};
  EXPECT_TRUE(table.failures().empty());
  table.rows[0].runs[1].correct = 9949;
  table.rows[0].runs[0].failures = {"codes_mismatched: 1"};
  EXPECT_EQ(table.failures(), (std::vector<std::string>{"4/4, seed 1: codes_mismatched: 1",
                                                        "4/4: expected a mean of at least 99.50 %, got 99.495 %"}));
}

}  // namespace
}  // namespace detent::evaluation::significance_test
