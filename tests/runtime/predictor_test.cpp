#include "detent/runtime/predictor/predictor.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/error_of.h"

namespace detent::runtime::predictor_test {
namespace {

using testing::HasSubstr;

/// y = x of two numbers, or their softmax.
ModelFile small(bool ends_in_softmax, const std::map<std::string, TensorFile::Attribute>& attributes = {}) {
  Model model;
  model.inputs = {{"x", {.shape = {2}}}};
  model.nodes.push_back({.name = "same", .op = Reshape{}, .inputs = {0}, .output = {.shape = {2}}});
  model.output = 1;
  if (ends_in_softmax) {
    model.nodes.push_back({.name = "p", .op = Softmax{}, .inputs = {1}, .output = {.shape = {2}}});
    model.output = 2;
  }
  return {.model = model, .attributes = attributes};
}

TEST(Predictor, RanksClassesByTheirProbabilities) {
  for (const bool ends_in_softmax : {false, true}) {
    Predictor predictor(small(ends_in_softmax));
    const auto all = predictor.predict(Tensor::from<float>({0.0F, std::log(3.0F), 7.0F, 7.0F}, {2, 2}));
    ASSERT_EQ(all.size(), 2U);
    ASSERT_EQ(all[0].size(), 2U);
    EXPECT_EQ(all[0][0].number, 1);
    EXPECT_EQ(all[0][0].name, "1");
    EXPECT_FLOAT_EQ(all[0][0].probability, 0.75F) << ends_in_softmax;
    EXPECT_FLOAT_EQ(all[0][1].probability, 0.25F);
    EXPECT_EQ(all[1][0].number, 0) << "of equal ones the first";
    EXPECT_EQ(predictor.predict(Tensor::from<float>({1.0F, 0.0F}, {2}), 1)[0].size(), 1U) << "one example, one class";
  }
}

TEST(Predictor, MakesExamplesReadyAsTrainingDid) {
  Predictor predictor(small(false, {{"normalization_mean", 0.5}, {"normalization_std", 0.25}}));
  const Tensor bytes = predictor.outputs(Tensor::from<std::uint8_t>({0, 255}, {1, 2}));
  EXPECT_EQ(bytes.data<float>()[0], -2.0F);
  EXPECT_EQ(bytes.data<float>()[1], 2.0F);
  const Tensor reals = predictor.outputs(Tensor::from<float>({1.0F, 0.75F}, {1, 2}));
  EXPECT_EQ(reals.data<float>()[0], 2.0F);
  EXPECT_EQ(reals.data<float>()[1], 1.0F);
}

TEST(Predictor, GivesAnExampleTheSameWhateverIsBesideIt) {
  Predictor predictor(small(true));
  std::vector<float> x;
  for (int i = 0; i < 2 * 300; ++i) {
    x.push_back(static_cast<float>(i % 7) * 0.3F);
  }
  const Tensor examples = Tensor::from(x, {300, 2});
  const Tensor all = predictor.outputs(examples);
  for (const std::int64_t i : {0, 255, 256, 299}) {
    const Tensor one = predictor.outputs(examples.rows(i, i + 1));
    EXPECT_EQ(one.data<float>()[0], all.data<float>()[static_cast<std::size_t>(2 * i)]) << i;
  }
}

TEST(Predictor, KnowsNamesAndColumnsFromTheFile) {
  Predictor predictor(small(false, {{"normalization_mean", 7.0},
                                    {"normalization_columns", R"({"means": [1, 10], "stds": [1, 2]})"},
                                    {"class_names", R"(["cat", "dog"])"}}));
  const Tensor rows = Tensor::from<float>({2.0F, 14.0F, 4.0F, 10.0F}, {2, 2});
  const Tensor outputs = predictor.outputs(rows);
  EXPECT_THAT(outputs.data<float>(), testing::ElementsAre(1.0F, 2.0F, 3.0F, 0.0F));
  const auto predictions = predictor.predict(rows, 1);
  EXPECT_EQ(predictions[0][0].name, "dog");
  EXPECT_EQ(predictions[0][0].value, 2.0F);
  EXPECT_EQ(predictions[1][0].name, "cat");
}

TEST(Predictor, GivesValuesAndFlagsInTheirOrder) {
  const Tensor row = Tensor::from<float>({0.0F, 100.0F}, {1, 2});
  Predictor values(small(false, {{"targets", std::string("values")}, {"class_names", R"(["width", "height"])"}}));
  const auto numbers = values.predict(row, 1)[0];
  ASSERT_EQ(numbers.size(), 2U);
  EXPECT_EQ(numbers[0].name, "width");
  EXPECT_EQ(numbers[1].value, 100.0F);
  EXPECT_TRUE(std::isnan(numbers[1].probability));
  Predictor flags(small(false, {{"targets", std::string("flags")}}));
  const auto answers = flags.predict(row)[0];
  EXPECT_FLOAT_EQ(answers[0].probability, 0.5F);
  EXPECT_FLOAT_EQ(answers[1].probability, 1.0F);
}

TEST(Predictor, RefusesWhatDoesNotFit) {
  Predictor predictor(small(false));
  EXPECT_THAT(error_of([&] { predictor.outputs(Tensor::zeros({1, 3}, DType::F32)); }), HasSubstr("expected examples"));
  EXPECT_THAT(error_of([&] { predictor.outputs(Tensor::zeros({1, 2}, DType::S32)); }), HasSubstr("u8 or f32"));
  EXPECT_THAT(error_of([&] { predictor.outputs(Tensor()); }), HasSubstr("expected examples"));
  EXPECT_THAT(error_of([] { Predictor(small(false, {{"normalization_std", 0.0}})); }), HasSubstr("stds above 0"));
  EXPECT_THAT(error_of([] {
                Predictor(small(false, {{"normalization_columns", R"({"means": [1], "stds": [1]})"}}));
              }),
              HasSubstr("expected 2 means and stds, got 1 and 1"));
  EXPECT_THAT(error_of([] {
                Predictor(small(false, {{"class_names", std::string("[1, 2]")}}));
              }),
              HasSubstr("attribute 'class_names' is damaged"));
  EXPECT_THAT(error_of([] {
                Predictor(small(false, {{"targets", std::string("colours")}}));
              }),
              HasSubstr("got 'colours'"));
}

}  // namespace
}  // namespace detent::runtime::predictor_test
