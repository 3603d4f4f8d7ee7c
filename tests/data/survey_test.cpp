#include "detent/data/survey/survey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace detent::data::survey_test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// Six rows of two features: the fourth is the first again with another class, the fifth is of one value.
Dataset rows() {
  return {.name = "rows",
          .examples = Tensor::from<float>({1, 5, 2, 5, 3, 5, 1, 5, 5, 5, 4, 5}, {6, 2}),
          .labels = Tensor::from<std::int32_t>({0, 0, 0, 1, 1, 1}, {6}),
          .classes = 3,
          .class_names = {"a", "b", "c"},
          .feature_names = {"x", "y"}};
}

TEST(Survey, FindsWhatLooksWrong) {
  const PartSurvey part = survey(rows());
  EXPECT_EQ(part.examples, 6);
  EXPECT_THAT(part.counts, ElementsAre(3, 3, 0));
  EXPECT_EQ(part.all.min, 1);
  EXPECT_EQ(part.all.max, 5);
  EXPECT_NEAR(part.all.mean, 46.0 / 12, 1e-12);
  ASSERT_EQ(part.features.size(), 2U);
  EXPECT_NEAR(part.features[0].mean, 16.0 / 6, 1e-12);
  EXPECT_NEAR(part.features[0].std, std::sqrt(56.0 / 6 - 64.0 / 9), 1e-12);
  EXPECT_EQ(part.features[1].std, 0.0);
  EXPECT_THAT(part.constant, ElementsAre(1));
  EXPECT_THAT(part.blank, ElementsAre(4));
  EXPECT_THAT(part.repeated, ElementsAre(Pair(3, 0)));
  EXPECT_EQ(part.contradicting, 1);
  EXPECT_EQ(count_shared(rows(), rows().take(1)), 2);
}

TEST(Survey, OutliersAreValuesFarFromTheRest) {
  Dataset values = rows();
  std::vector<float> examples, labels;
  for (int i = 0; i < 100; ++i) {
    examples.insert(examples.end(), {static_cast<float>(i), 0.0F});
    labels.push_back(i == 42 ? 1000.0F : static_cast<float>(i % 5));
  }
  values.examples = Tensor::from(examples, {100, 2});
  values.labels = Tensor::from(labels, {100, 1});
  values.targets = TargetKind::kValues;
  values.classes = 1;
  values.class_names = {};
  const PartSurvey part = survey(values);
  EXPECT_THAT(part.outliers, ElementsAre(42));
  EXPECT_EQ(part.targets[0].max, 1000);
  EXPECT_THAT(part.counts, IsEmpty());
}

TEST(Survey, RemarksNameWhatToLookAt) {
  DataSource source;
  source.train = source.test = rows();
  source.train.sources = {"l1", "l2", "l3", "l4", "l5", "l6"};
  source.test = rows().take(3);
  const std::vector<std::string> lines = remarks(source, survey(source.train), survey(source.test));
  EXPECT_THAT(lines, Contains("train: no example of class c"));
  EXPECT_THAT(lines, Contains("train: few examples of class a (3), b (3)"));
  EXPECT_THAT(lines, Contains("test: no example of class b, c"));
  EXPECT_THAT(lines, Contains("train: 1 of one value everywhere: l5"));
  EXPECT_THAT(lines, Contains("train: 1 repeats an earlier one: l4 = l1"));
  EXPECT_THAT(lines, Contains("train: 1 of these have another class than the first one"));
  EXPECT_THAT(lines, Contains("test: 3 of 3 examples are training examples, too"));
  EXPECT_THAT(lines, Contains("train: 1 of 2 features are the same in all examples (50 %): y"));
}

TEST(Survey, NothingIsSaidOfWhatLooksRight) {
  DataSource source;
  std::vector<float> examples;
  std::vector<std::int32_t> labels;
  for (int i = 0; i < 40; ++i) {
    examples.insert(examples.end(), {static_cast<float>(i), static_cast<float>(-3 * i - 1)});
    labels.push_back(i % 2);
  }
  source.train = {
      .name = "t", .examples = Tensor::from(examples, {40, 2}), .labels = Tensor::from(labels, {40}), .classes = 2};
  source.test = source.train;
  source.test.examples = source.test.examples.clone();
  for (float& x : source.test.examples.data<float>()) {
    x += 0.25F;
  }
  EXPECT_THAT(remarks(source, survey(source.train), survey(source.test)), IsEmpty());
  for (std::size_t i = 0; i < 40; ++i) {
    source.train.examples.data<float>()[2 * i] *= 1000.0F;
  }
  EXPECT_THAT(remarks(source, survey(source.train), survey(source.test)),
              ElementsAre(HasSubstr("features reach over 117 to 39000; write normalize = \"columns\"")));
  EXPECT_THAT(remarks(source, survey(source.train), survey(source.test), true), IsEmpty()) << "it is written";
}

}  // namespace
}  // namespace detent::data::survey_test
