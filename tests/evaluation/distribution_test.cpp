// Distributions and the statistics between two of them, by hand.
#include "detent/evaluation/drift/distribution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "detent/core/philox.h"
#include "detent/core/threads/parallel.h"
#include "detent/evaluation/drift/value_tally.h"

namespace detent::evaluation::distribution_test {
namespace {

using testing::ElementsAre;

const QParams kMap = QParams::per_tensor({0.5F, 10}, unsigned_codes(8));

std::vector<Occurrence> evenly(int from, int to, std::int64_t count = 1) {
  std::vector<Occurrence> values;
  for (int value = from; value <= to; ++value) {
    values.push_back({static_cast<float>(value), count});
  }
  return values;
}

CodeCount counts_of(const std::vector<Occurrence>& values) {
  CodeCount counts = {};
  for (const Occurrence& value : values) {
    counts[static_cast<std::size_t>(value.value)] = value.count;
  }
  return counts;
}

TEST(Bounds, CutIntoTenEqualShares) {
  const CodeRange codes = unsigned_codes(8);
  EXPECT_THAT(bounds_for(evenly(1, 100), &codes), ElementsAre(0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100));
  EXPECT_THAT(bounds_for(evenly(0, 255), &codes), ElementsAre(25, 51, 77, 103, 129, 155, 180, 205, 230))
      << "what lies at the ends of the codes has no bins beyond";
}

TEST(Bounds, GiveAFrequentValueABinOfItsOwn) {
  std::vector<Occurrence> values = evenly(1, 90);
  values[29].count = 1000;  // 30
  const CodeRange codes = unsigned_codes(8);
  const std::vector<float> bounds = bounds_for(values, &codes);
  EXPECT_THAT(bounds, testing::IsSupersetOf({0.0F, 29.0F, 30.0F, 90.0F}));
  EXPECT_LE(bounds.size(), kMostBounds);
}

TEST(Bounds, OfFewValuesAndNone) {
  const CodeRange codes = unsigned_codes(8), bit = unsigned_codes(1);
  EXPECT_THAT(bounds_for(std::vector<Occurrence>{{7.0F, 5}}, &codes), ElementsAre(6, 7));
  EXPECT_THAT(bounds_for(std::vector<Occurrence>{{0.0F, 5}}, &codes), ElementsAre(0));
  EXPECT_THAT(bounds_for(std::vector<Occurrence>{{255.0F, 5}}, &codes), ElementsAre(254));
  EXPECT_THAT(bounds_for(std::vector<Occurrence>{{0.0F, 3}, {1.0F, 5}}, &bit), ElementsAre(0));
  const float below = std::nextafter(2.5F, 0.0F);
  EXPECT_THAT(bounds_for(std::vector<Occurrence>{{2.5F, 1}}), ElementsAre(below, 2.5F)) << "of reals";
  EXPECT_TRUE(bounds_for({}).empty());
}

TEST(DistributionOfCodes, CountsExactly) {
  const Distribution codes = distribution_of(counts_of({{0, 1}, {10, 5}, {20, 2}, {255, 2}}), kMap);
  EXPECT_FLOAT_EQ(codes.mean, 60.0F) << "(50 + 40 + 510) / 10";
  EXPECT_FLOAT_EQ(codes.deviation, static_cast<float>(std::sqrt(13135.0 - 3600.0))) << "(500 + 800 + 130050) / 10";
  EXPECT_DOUBLE_EQ(codes.saturated, 0.3) << "the codes 0 and 255";
  EXPECT_THAT(codes.bounds, ElementsAre(0, 10, 20));
  EXPECT_THAT(codes.shares, ElementsAre(0.1, 0.5, 0.2, 0.2));
  const QParams of_relu = QParams::per_tensor({0.5F, 0}, unsigned_codes(8));
  EXPECT_DOUBLE_EQ(distribution_of(counts_of({{0, 1}, {255, 3}}), of_relu).saturated, 0.75) << "0 is real 0";
}

TEST(Statistics, AreWhatTheirFormulasSay) {
  const Distribution p{.bounds = {1, 2}, .shares = {0.5, 0.25, 0.25}, .mean = 1.0F, .deviation = 2.0F};
  const Distribution q{.bounds = {1, 2}, .shares = {0.25, 0.25, 0.5}, .mean = 4.0F, .deviation = 1.0F};
  EXPECT_DOUBLE_EQ(stability_index(p, q), 0.5 * std::log(2.0)) << "0.25 ln 2 for each end";
  EXPECT_DOUBLE_EQ(stability_index(q, p), stability_index(p, q)) << "symmetric";
  EXPECT_DOUBLE_EQ(kolmogorov_smirnov(p, q), 0.25);
  EXPECT_DOUBLE_EQ(mean_shift(p, q), 1.5);
  EXPECT_DOUBLE_EQ(unseen_share(p, q), 0.0);
  EXPECT_EQ(stability_index(p, p), 0.0);
  EXPECT_EQ(kolmogorov_smirnov(p, p), 0.0);

  const Distribution none{.bounds = {1, 2}, .shares = {0.5, 0.5, 0.0}, .mean = 1.0F};
  const Distribution all{.bounds = {1, 2}, .shares = {0.0, 0.0, 1.0}, .mean = 3.0F};
  EXPECT_NEAR(stability_index(none, all), 2 * 0.4999 * std::log(5000.0) + 0.9999 * std::log(10000.0), 1e-9)
      << "an empty bin counts as 0.0001";
  EXPECT_DOUBLE_EQ(kolmogorov_smirnov(none, all), 1.0);
  EXPECT_DOUBLE_EQ(unseen_share(none, all), 1.0);
  EXPECT_EQ(mean_shift(none, all), std::numeric_limits<double>::infinity()) << "of a constant";
  EXPECT_EQ(mean_shift(none, none), 0.0);
}

TEST(Statistics, StayBelowWhatChanceGives) {
  const Distribution p{.bounds = {1, 2}, .shares = {0.5, 0.5, 0.0}};
  const Chance chance = by_chance(p, p, 100, 400);
  EXPECT_NEAR(chance.stability_index, 0.0125 * 10.83, 0.005) << "two bins are not empty: chi-squared of 1 degree";
  const Distribution of_ten{.bounds = {1, 2, 3, 4, 5, 6, 7, 8, 9}, .shares = std::vector<double>(10, 0.1)};
  EXPECT_NEAR(by_chance(of_ten, of_ten, 100, 400).stability_index, 0.0125 * 27.88, 0.005) << "of 9 degrees";
  const Distribution one{.bounds = {}, .shares = {1.0}};
  EXPECT_EQ(by_chance(one, one, 100, 400).stability_index, 0.0);
  EXPECT_NEAR(chance.kolmogorov_smirnov, 1.949475 * std::sqrt(0.0125), 1e-6);
  // 500 pairs of samples of one distribution: about one in a thousand may lie above.
  RandomStream random(5, "chance");
  int above = 0;
  for (int pair = 0; pair < 500; ++pair) {
    const auto sample = [&](std::int64_t count) {
      std::vector<float> values;
      for (std::int64_t i = 0; i < count; ++i) {
        values.push_back(random.uniform(0.0F, 1.0F));
      }
      return values;
    };
    const Distribution before = distribution_of(sample(1000), {0.0F, 1.0F});
    const Distribution now = distribution_of(sample(100), {0.0F, 1.0F}, &before.bounds);
    const Chance limit = by_chance(before, now, 1000, 100);
    above += stability_index(before, now) > limit.stability_index ||
                     kolmogorov_smirnov(before, now) > limit.kolmogorov_smirnov
                 ? 1
                 : 0;
  }
  EXPECT_LE(above, 5);
}

TEST(RealTally, SamplesWhatIsTooMuch) {
  std::vector<float> rows(1024 * 784);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<float>(i % 784);
  }
  rows[5000] = -3.0F;
  rows[6000] = 1e6F;
  RealTally whole(std::ssize(rows)), parts(std::ssize(rows));
  whole.add(rows);
  for (std::size_t i = 0; i < rows.size(); i += 10'000) {
    parts.add(std::span(rows).subspan(i, std::min<std::size_t>(10'000, rows.size() - i)));
  }
  const Distribution all = *whole.distribution();
  EXPECT_EQ(*parts.distribution(), all) << "however they come";
  EXPECT_NEAR(all.mean, 391.5, 3.0);
  ASSERT_EQ(all.bounds.size(), kMostBounds);
  EXPECT_EQ(all.bounds.front(), std::nextafter(-3.0F, -4.0F)) << "the smallest of all, sampled or not";
  EXPECT_EQ(all.bounds.back(), 1e6F);
  for (std::size_t i = 1; i + 1 < all.bounds.size(); ++i) {
    EXPECT_NEAR(all.bounds[i], 78.4 * static_cast<double>(i), 8.0) << "every column of the rows is met";
    EXPECT_NEAR(all.shares[i], 0.1, 0.01) << i;
  }
}

TEST(RealTally, PassesOverWhatIsNotFinite) {
  RealTally tally(4);
  tally.add(std::vector<float>{1.0F, std::nanf(""), std::numeric_limits<float>::infinity(), 3.0F});
  EXPECT_EQ(tally.not_finite(), 2);
  const Distribution seen = *tally.distribution();
  EXPECT_FLOAT_EQ(seen.mean, 2.0F);
  EXPECT_FLOAT_EQ(seen.deviation, 1.0F);
  EXPECT_NEAR(std::accumulate(seen.shares.begin(), seen.shares.end(), 0.0), 1.0, 1e-12);
  RealTally none(1);
  none.add(std::vector<float>{std::nanf("")});
  EXPECT_FALSE(none.distribution());
}

TEST(CodeTally, CountsTheSameOnAnyThreads) {
  Tensor codes = Tensor::empty({1'000'003}, DType::U8);
  CodeCount expected = {};
  RandomStream random(3, "codes");
  for (std::uint8_t& code : codes.data<std::uint8_t>()) {
    code = static_cast<std::uint8_t>(random.index(256));
    ++expected[code];
  }
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    CodeTally tally;
    pool.run([&] {
      tally.add(codes.rows(0, 400'001));
      tally.add(codes.rows(400'001, 1'000'003));
    });
    EXPECT_EQ(tally.counts(), expected) << threads << " threads";
  }
}

}  // namespace
}  // namespace detent::evaluation::distribution_test
