#include "detent/kernels/layers/target_loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/kernels/layers/loss.h"
#include "tests/kernels/pointwise.h"

namespace detent::kernels::target_loss_test {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::random_reals;

const std::vector<double> kNone;

std::vector<double> flags_of(std::int64_t count, std::uint64_t seed) {
  std::vector<double> flags;
  for (const std::uint8_t v : testing::random_bytes(count, seed, 2)) {
    flags.push_back(v);
  }
  return flags;
}

TEST(L1, ByHand) {
  const std::vector<double> p{1, 2, 3, -4}, t{1, 0, 4, -1};
  EXPECT_EQ(l1_forward(p.data(), t.data(), 4), (0 + 2 + 1 + 3) / 4.0);
  std::vector<double> dp(4, 99);
  l1_backward(p.data(), t.data(), 4, 2.0, dp.data());
  EXPECT_EQ(dp, (std::vector<double>{0, 0.5, -0.5, -0.5})) << "0 where the two are equal";
  EXPECT_THAT(error_of([&] { l1_forward(p.data(), t.data(), 0); }), HasSubstr("l1: expected at least one element"));
}

TEST(Huber, IsSquaredNearAndAbsoluteFar) {
  const std::vector<double> p{0.5, -2, 3, 7}, t{0, 0, 0, 7};
  // delta 2: 0.125, 2 (the border), 2 (3 - 1) = 4, 0.
  EXPECT_EQ(huber_forward(p.data(), t.data(), 4, 2.0), (0.125 + 2 + 4 + 0) / 4);
  std::vector<double> dp(4, 99);
  huber_backward(p.data(), t.data(), 4, 2.0, 4.0, dp.data());
  EXPECT_EQ(dp, (std::vector<double>{0.5, -2, 2, 0}));
  std::vector<double> x = random_reals<double>(300, 61, -4, 4);
  const std::vector<double> target = random_reals<double>(300, 62);
  std::vector<double> dx(x.size(), 99);
  huber_backward(x.data(), target.data(), 300, 0.7, 1.5, dx.data());
  testing::expect_gradient("dprediction", &x, dx,
                           [&] { return 1.5 * huber_forward(x.data(), target.data(), 300, 0.7); });
  for (const double delta : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::nan("")}) {
    EXPECT_THAT(error_of([&] { huber_forward(p.data(), t.data(), 4, delta); }), HasSubstr("expected a delta > 0"));
  }
}

TEST(BinaryCrossEntropy, IsTheFormulaAndItsGradientAgreesWithDifferences) {
  const std::vector<double> weights{0.5, 1, 3};
  for (const bool is_weighted : {false, true}) {
    const std::span<const double> w = is_weighted ? weights : kNone;
    std::vector<double> x = random_reals<double>(60, 63, -6, 6);
    const std::vector<double> t = flags_of(60, 64);
    double expected = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double p = 1 / (1 + std::exp(-x[i]));
      expected -= (is_weighted ? weights[i % 3] : 1) * t[i] * std::log(p) + (1 - t[i]) * std::log(1 - p);
    }
    const auto loss = [&] { return binary_cross_entropy_forward(x.data(), t.data(), 20, 3, w); };
    EXPECT_NEAR(loss(), expected / 60, 1e-12);
    std::vector<double> dx(x.size(), 99);
    binary_cross_entropy_backward(x.data(), t.data(), 20, 3, w, 2.5, dx.data());
    testing::expect_gradient("dlogits", &x, dx, [&] { return 2.5 * loss(); });
  }
}

TEST(BinaryCrossEntropy, LargeLogitsDoNotOverflow) {
  const std::vector<float> x{1e4F, -1e4F, 3e38F, -3e38F}, right{1, 0, 1, 0}, wrong{0, 1, 1, 0};
  EXPECT_EQ(binary_cross_entropy_forward(x.data(), right.data(), 2, 2, kNone), 0.0);
  EXPECT_EQ(binary_cross_entropy_forward(x.data(), wrong.data(), 2, 2, kNone), 2e4 / 4);
  std::vector<float> dx(4);
  binary_cross_entropy_backward(x.data(), wrong.data(), 2, 2, kNone, 4.0, dx.data());
  EXPECT_EQ(dx, (std::vector<float>{1, -1, 0, 0}));
  const std::vector<double> two{1.0, 2.0, 3.0};
  EXPECT_THAT(error_of([&] { binary_cross_entropy_forward(x.data(), right.data(), 2, 2, two); }),
              HasSubstr("one for each of 2 columns, got 3"));
}

TEST(WeightedCrossEntropy, OfTwoClassesByHand) {
  // p = (1/2, 1/2) twice, labels 0 and 1, weights 1 and 3: (1 log 2 + 3 log 2) / 4.
  const std::vector<double> x{0, 0, 5, 5}, weights{1, 3};
  const std::vector<std::int32_t> labels{0, 1};
  std::vector<double> p(4), dx(4, 99);
  EXPECT_NEAR(weighted_cross_entropy_forward(x.data(), labels.data(), 2, 2, weights, 0.0, p.data()), std::log(2.0),
              1e-15);
  weighted_cross_entropy_backward(p.data(), labels.data(), 2, 2, weights, 0.0, 4.0, dx.data());
  EXPECT_EQ(dx, (std::vector<double>{-0.5, 0.5, 1.5, -1.5})) << "the rarer class pulls three times as hard";
}

TEST(WeightedCrossEntropy, OfEqualWeightsIsThePlainOneAndItsGradientAgreesWithDifferences) {
  const std::int64_t rows = 20, classes = 4;
  std::vector<double> x = random_reals<double>(rows * classes, 65, -5, 5);
  std::vector<std::int32_t> labels;
  for (const std::uint8_t v : testing::random_bytes(rows, 66, 4)) {
    labels.push_back(v);
  }
  const std::vector<double> equal(4, 7.0), unequal{0.25, 1, 2, 5};
  std::vector<double> p(x.size()), dx(x.size(), 99);
  for (const double smoothing : {0.0, 0.1, 1.0}) {
    EXPECT_NEAR(weighted_cross_entropy_forward(x.data(), labels.data(), rows, classes, equal, smoothing, p.data()),
                cross_entropy_forward(x.data(), labels.data(), rows, classes, smoothing, p.data()), 1e-12);
    const auto loss = [&] {
      return weighted_cross_entropy_forward(x.data(), labels.data(), rows, classes, unequal, smoothing, p.data());
    };
    loss();
    weighted_cross_entropy_backward(p.data(), labels.data(), rows, classes, unequal, smoothing, 1.5, dx.data());
    testing::expect_gradient("dlogits", &x, dx, [&] { return 1.5 * loss(); });
  }
}

TEST(WeightedCrossEntropy, RefusesWeightsThatAreNone) {
  const std::vector<float> x(4);
  std::vector<float> p(4);
  const std::vector<std::int32_t> labels{0, 1};
  const auto error = [&](const std::vector<double>& weights) {
    return error_of([&] { weighted_cross_entropy_forward(x.data(), labels.data(), 2, 2, weights, 0.0, p.data()); });
  };
  EXPECT_EQ(error({1, 2}), "");
  EXPECT_THAT(error({1}), HasSubstr("one weight for each of 2 classes, got 1"));
  EXPECT_THAT(error({1, 0}), HasSubstr("expected weights > 0, got 0"));
  EXPECT_THAT(error({1, std::nan("")}), HasSubstr("expected weights > 0"));
}

TEST(TargetLosses, SameBitsOnAnyNumberOfThreads) {
  const std::int64_t rows = 20001;
  const std::vector<float> x = random_reals<float>(rows * 3, 67, -9, 9), t = random_reals<float>(rows * 3, 68, 0, 1);
  std::vector<std::int32_t> labels;
  for (const std::uint8_t v : testing::random_bytes(rows, 69, 3)) {
    labels.push_back(v);
  }
  const std::vector<double> weights{1, 2, 3};
  std::vector<float> p(x.size());
  testing::expect_same_on_threads<double>("losses", [&] {
    return std::vector<double>{
        l1_forward(x.data(), t.data(), rows * 3), huber_forward(x.data(), t.data(), rows * 3, 1.5),
        binary_cross_entropy_forward(x.data(), t.data(), rows, 3, weights),
        weighted_cross_entropy_forward(x.data(), labels.data(), rows, 3, weights, 0.1, p.data())};
  });
}

}  // namespace
}  // namespace detent::kernels::target_loss_test
