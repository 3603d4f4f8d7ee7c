#include "detent/evaluation/targets/answers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/evaluation/targets/target_loss.h"
#include "detent/report/targets/score_text.h"
#include "tests/error_of.h"

namespace detent::evaluation::answers_test {
namespace {

using data::TargetKind;
using testing::ElementsAre;
using testing::HasSubstr;

Answers said_by(TargetKind targets, const std::vector<std::vector<float>>& batches, std::int64_t width) {
  Answers answers{.targets = targets};
  for (const std::vector<float>& batch : batches) {
    answers.add(Tensor::from(batch, {std::ssize(batch) / width, width}));
  }
  return answers;
}

TEST(Answers, OfClassesAreTheLargestOutputs) {
  const Answers a = said_by(TargetKind::kClasses, {{1.0F, 2.0F, 5.0F, 4.0F}, {0.0F, 3.0F}}, 2);
  EXPECT_THAT(a.said, ElementsAre(1, 0, 1));
  const Answers b = said_by(TargetKind::kClasses, {{9.0F, 2.0F, 5.0F, 4.0F, 3.0F, 1.0F}}, 2);
  EXPECT_EQ(count_changed(a, b), 2);
  EXPECT_EQ(count_changed(a, a), 0);
}

TEST(Answers, OfFlagsAreAllOfAnExample) {
  // The first example differs in both flags, the second in none (0 is no), the third in one.
  const Answers a = said_by(TargetKind::kFlags, {{1.0F, -1.0F, 0.0F, 2.0F, 1.0F, 1.0F}}, 2);
  EXPECT_THAT(a.said, ElementsAre(1, 0, 0, 1, 1, 1));
  const Answers b = said_by(TargetKind::kFlags, {{-1.0F, 1.0F}, {-3.0F, 0.5F, 1.0F, -0.5F}}, 2);
  EXPECT_EQ(count_changed(a, b), 2);
}

TEST(Answers, OfValuesAreNone) {
  const Answers a = said_by(TargetKind::kValues, {{1.0F, -1.0F}}, 1);
  EXPECT_FALSE(a.are_comparable());
  EXPECT_EQ(count_changed(a, said_by(TargetKind::kValues, {{5.0F, 5.0F}}, 1)), 0);
}

TEST(Answers, OfOtherExamplesAreRefused) {
  EXPECT_THAT(error_of([] {
                count_changed(said_by(TargetKind::kClasses, {{1.0F, 2.0F}}, 2), said_by(TargetKind::kClasses, {}, 2));
              }),
              HasSubstr("of 1 and 0 outputs; expected the same examples"));
}

TEST(TargetLoss, IsThatOfTheTargets) {
  const Tensor outputs = Tensor::from<float>({1.0F, -2.0F, 0.0F, 3.0F}, {2, 2});
  EXPECT_NEAR(target_loss(outputs, Tensor::from<std::int32_t>({0, 1}, {2}), TargetKind::kClasses, false),
              (std::log1p(std::exp(-3.0)) + std::log1p(std::exp(-3.0))) / 2.0, 1e-6);
  // (1 - 2)^2, (-2 - 0)^2, (0 - 0)^2, (3 - 1)^2
  const Tensor values = Tensor::from<float>({2.0F, 0.0F, 0.0F, 1.0F}, {2, 2});
  EXPECT_DOUBLE_EQ(target_loss(outputs, values, TargetKind::kValues, false), 9.0 / 4.0);
  const Tensor flags = Tensor::from<float>({1.0F, 0.0F, 1.0F, 0.0F}, {2, 2});
  const double expected =
      std::log1p(std::exp(-1.0)) + std::log1p(std::exp(-2.0)) + std::log(2.0) + 3.0 + std::log1p(std::exp(-3.0));
  EXPECT_NEAR(target_loss(outputs, flags, TargetKind::kFlags, false), expected / 4.0, 1e-6);
  EXPECT_STREQ(loss_name(TargetKind::kValues), "squared error");
  EXPECT_THAT(error_of([&] {
                target_loss(outputs, Tensor::from<float>({1.0F}, {1, 1}), TargetKind::kFlags, false);
              }),
              HasSubstr("expected outputs like the targets [1, 1], got [2, 2]"));
}

TEST(TargetLoss, TakesProbabilitiesOfASoftmax) {
  const Tensor outputs = Tensor::from<float>({0.25F, 0.75F, 1.0F, 0.0F}, {2, 2});
  EXPECT_NEAR(target_loss(outputs, Tensor::from<std::int32_t>({0, 1}, {2}), TargetKind::kClasses, true),
              (std::log(4.0) + std::log1p(std::exp2(-24.0)) + 24.0 * std::log(2.0)) / 2.0, 1e-4);
}

TEST(ScoreText, NamesWhatItIs) {
  EXPECT_EQ(report::score_text({.examples = 200, .correct = 197}), "98.50 % right");
  EXPECT_EQ(report::score_text({.targets = TargetKind::kFlags, .examples = 4, .correct = 3}),
            "75.00 % with all flags right");
  EXPECT_EQ(report::score_text(
                {.targets = TargetKind::kValues, .examples = 2, .columns = {{.deviation = 4.0, .squared_error = 1.0}}}),
            "R2 0.7500");
}

}  // namespace
}  // namespace detent::evaluation::answers_test
