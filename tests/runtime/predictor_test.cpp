#include "detent/runtime/predictor/predictor.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/error_of.h"

namespace detent::runtime {
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

TEST(Predictor, RefusesWhatDoesNotFit) {
  Predictor predictor(small(false));
  EXPECT_THAT(error_of([&] { predictor.outputs(Tensor::zeros({1, 3}, DType::F32)); }), HasSubstr("expected examples"));
  EXPECT_THAT(error_of([&] { predictor.outputs(Tensor::zeros({1, 2}, DType::S32)); }), HasSubstr("u8 or f32"));
  EXPECT_THAT(error_of([&] { predictor.outputs(Tensor()); }), HasSubstr("expected examples"));
  EXPECT_THAT(error_of([] { Predictor(small(false, {{"normalization_std", 0.0}})); }), HasSubstr("a std above 0"));
}

}  // namespace
}  // namespace detent::runtime
