#include "detent/evaluation/targets/target_score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/core/philox.h"
#include "tests/error_of.h"

namespace detent::evaluation::target_score_test {
namespace {

using data::TargetKind;
using testing::HasSubstr;

TEST(TargetScore, OfValuesByHand) {
  // y = 1, 2, 3, 6 (mean 3, deviation 4 + 1 + 0 + 9 = 14); p - y = 0, 1, -1, 2 (squares 6, sizes 4).
  TargetScore score{.targets = TargetKind::kValues};
  score.add(Tensor::from<float>({1, 3, 2, 8}, {4, 1}), Tensor::from<float>({1, 2, 3, 6}, {4, 1}));
  EXPECT_EQ(score.examples, 4);
  EXPECT_DOUBLE_EQ(score.value(), 1.0 - 6.0 / 14.0);
  EXPECT_DOUBLE_EQ(score.errors().mean_absolute_error, 1.0);
  EXPECT_DOUBLE_EQ(score.errors().root_mean_squared_error, std::sqrt(1.5));
}

TEST(TargetScore, OfSeveralColumnsIsTheirMean) {
  TargetScore score{.targets = TargetKind::kValues};
  score.add(Tensor::from<float>({1, 0, 2, 0}, {2, 2}), Tensor::from<float>({1, -1, 2, 1}, {2, 2}));
  EXPECT_EQ(score.errors(0).r2, 1.0);
  EXPECT_EQ(score.errors(1).r2, 0.0) << "the mean of the targets, always";
  EXPECT_EQ(score.value(), 0.5);
  EXPECT_EQ(score.errors().mean_absolute_error, 0.5);
}

TEST(TargetScore, OfTargetsThatAreAllEqual) {
  TargetScore right{.targets = TargetKind::kValues}, wrong{.targets = TargetKind::kValues};
  const Tensor targets = Tensor::from<float>({0.1F, 0.1F, 0.1F}, {3, 1});
  right.add(targets, targets);
  wrong.add(Tensor::from<float>({0.1F, 0.1F, 0.2F}, {3, 1}), targets);
  EXPECT_EQ(right.value(), 1.0);
  EXPECT_EQ(wrong.value(), 0.0);
}

TEST(TargetScore, OfFlagsCountsExamplesAndFlags) {
  TargetScore score{.targets = TargetKind::kFlags};
  // Logit 0 is p = 1/2: no.
  score.add(Tensor::from<float>({5, -5, 0, 1, -1, 1}, {3, 2}), Tensor::from<float>({1, 0, 1, 1, 0, 0}, {3, 2}));
  EXPECT_EQ(score.correct, 1);
  EXPECT_DOUBLE_EQ(score.value(), 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(score.mean_accuracy(), 4.0 / 6.0);
}

TEST(TargetScore, OfClassesCountsTheLargestOutput) {
  TargetScore score;
  score.add(Tensor::from<float>({1, 3, 2, 0}, {2, 2}), Tensor::from<std::int32_t>({1, 1}, {2}));
  score.add(Tensor::from<float>({1, 3}, {1, 2}), Tensor::from<std::int32_t>({1}, {1}));
  EXPECT_EQ(score.correct, 2);
  EXPECT_DOUBLE_EQ(score.value(), 2.0 / 3.0);
  EXPECT_EQ(TargetScore().value(), 0.0);
}

// Batches joined are the whole; targets far from 0 lose nothing.
TEST(TargetScore, OfPartsAddsUpToTheWhole) {
  RandomStream random(7, "score test");
  std::vector<float> targets, outputs;
  for (int i = 0; i < 300; ++i) {
    targets.push_back(1e6F + random.normal());
    outputs.push_back(targets.back() + 0.5F * random.normal());
  }
  const Tensor y = Tensor::from<float>(targets, {300, 1}), p = Tensor::from<float>(outputs, {300, 1});
  TargetScore whole{.targets = TargetKind::kValues}, joined{.targets = TargetKind::kValues};
  whole.add(p, y);
  for (std::int64_t at = 0; at < 300; at += 70) {
    TargetScore part{.targets = TargetKind::kValues};
    part.add(p.rows(at, std::min<std::int64_t>(300, at + 70)), y.rows(at, std::min<std::int64_t>(300, at + 70)));
    joined.add(part);
  }
  EXPECT_EQ(joined.examples, 300);
  EXPECT_NEAR(joined.value(), whole.value(), 1e-10);
  EXPECT_NEAR(joined.errors().mean_absolute_error, whole.errors().mean_absolute_error, 1e-12);
  double mean = 0.0, deviation = 0.0, squares = 0.0;
  for (const float y_i : targets) {
    mean += static_cast<double>(y_i) / 300;
  }
  for (std::size_t i = 0; i < 300; ++i) {
    deviation += std::pow(static_cast<double>(targets[i]) - mean, 2);
    squares += std::pow(static_cast<double>(targets[i]) - static_cast<double>(outputs[i]), 2);
  }
  EXPECT_NEAR(whole.value(), 1.0 - squares / deviation, 1e-9);
}

TEST(TargetScore, RefusesWhatDoesNotFit) {
  TargetScore values{.targets = TargetKind::kValues};
  const Tensor two = Tensor::zeros({2, 1}, DType::F32), three = Tensor::zeros({2, 3}, DType::F32);
  EXPECT_THAT(error_of([&] { values.add(three, two); }), HasSubstr("expected outputs like the targets"));
  TargetScore flags{.targets = TargetKind::kFlags};
  values.add(two, two);
  flags.add(two, two);
  EXPECT_THAT(error_of([&] { values.add(flags); }), HasSubstr("of other kinds"));
}

}  // namespace
}  // namespace detent::evaluation::target_score_test
