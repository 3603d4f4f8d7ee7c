#include "detent/evaluation/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "detent/report/comparison_table.h"
#include "tests/quant/qat_fixture.h"

namespace detent::compare_test {
namespace {

using namespace evaluation;
using testing::ElementsAre;
using testing::HasSubstr;

data::Dataset rows_of(const Tensor& examples, std::int64_t classes) {
  return {.name = "rows",
          .examples = examples,
          .labels = Tensor::zeros({examples.shape()[0]}, DType::S32),
          .classes = classes};
}

/// y = w x for each of two inputs, then the sum and the difference of them.
quant::OpenedModel two_weights(float w0, float w1) {
  nn::Graph net;
  auto x = net.input({2});
  x = net.linear(x, {.out_features = 2, .bias = false, .name = "first"});
  x = net.linear(x, {.out_features = 2, .bias = false, .name = "last"});
  net.output(x);
  net.initialize(1);
  auto weights = net.parameters();
  weights[0].parameter->value = Tensor::from<float>({w0, 0.0F, 0.0F, w1}, {2, 2});
  weights[1].parameter->value = Tensor::from<float>({1.0F, 1.0F, 1.0F, -1.0F}, {2, 2});
  return {.kind = "fp32", .content = std::move(net)};
}

TEST(Compare, MeasuresWhatIsSaid) {
  Reporter silent;
  const data::Dataset rows = rows_of(Tensor::from<float>({1.0F, 2.0F, -3.0F, 1.0F}, {2, 2}), 2);
  const Comparison comparison = compare(two_weights(1.0F, 1.0F), two_weights(1.0F, 1.5F), rows, {}, silent);
  ASSERT_EQ(comparison.layers.size(), 2U);
  const LayerDifference& first = comparison.layers[0];
  // a = 1 2 -3 1, b = 1 3 -3 1.5
  EXPECT_EQ(first.name, "first");
  EXPECT_EQ(first.values, 4);
  EXPECT_DOUBLE_EQ(first.mean, 1.5 / 4);
  EXPECT_DOUBLE_EQ(first.largest, 1.0);
  EXPECT_DOUBLE_EQ(first.cosine, (1 + 6 + 9 + 1.5) / std::sqrt(15.0 * (1 + 9 + 9 + 2.25)));
  EXPECT_DOUBLE_EQ(first.snr, 10.0 * std::log10(15.0 / 1.25));
  EXPECT_EQ(first.range_a, (MinMax{-3.0F, 2.0F}));
  EXPECT_EQ(first.range_b, (MinMax{-3.0F, 3.0F}));
  EXPECT_EQ(first.saturated, 0.0);
  EXPECT_EQ(first_below(comparison), &comparison.layers[0]);
  EXPECT_EQ(first_below(comparison, 5.0), nullptr);
  EXPECT_EQ(comparison.images, 2);
  // a: (3, -1) and (-2, -4), b: (4, -2) and (-1.5, -4.5)
  EXPECT_EQ(comparison.predictions_changed, 0);
  EXPECT_EQ(comparison.score_a.correct, 2);
  EXPECT_THAT(report::to_text(comparison), HasSubstr("they part at first: 10.8 dB"));
  EXPECT_EQ(compare(two_weights(1.0F, 1.0F), two_weights(1.0F, -1.0F), rows, {}, silent).predictions_changed, 2);
}

TEST(Compare, OfValuesGivesR2AndOfFlagsExactMatches) {
  Reporter silent;
  // a: (3, -1) and (-2, -4), b: (4, -2) and (-1.5, -4.5)
  data::Dataset rows = rows_of(Tensor::from<float>({1.0F, 2.0F, -3.0F, 1.0F}, {2, 2}), 2);
  rows.targets = data::TargetKind::kValues;
  rows.labels = Tensor::from<float>({3.0F, -1.0F, -2.0F, -5.0F}, {2, 2});
  const Comparison values = compare(two_weights(1.0F, 1.0F), two_weights(1.0F, 1.5F), rows, {}, silent);
  EXPECT_DOUBLE_EQ(values.score_a.value(), (1.0 + (1.0 - 1.0 / 8.0)) / 2.0);
  EXPECT_DOUBLE_EQ(values.score_b.value(), ((1.0 - 1.25 / 12.5) + (1.0 - 1.25 / 8.0)) / 2.0);
  EXPECT_EQ(values.predictions_changed, 0) << "of values none";
  EXPECT_THAT(report::to_text(values), HasSubstr("2 examples: R2 of A 0.9375, of B 0.8719\n"));
  const nlohmann::json json = report::to_json(values);
  EXPECT_EQ(json["targets"], "values");
  EXPECT_EQ(json["r2_a"], 0.9375);
  EXPECT_FALSE(json.contains("correct_a"));
  rows.targets = data::TargetKind::kFlags;
  rows.labels = Tensor::from<float>({1.0F, 0.0F, 0.0F, 1.0F}, {2, 2});
  const Comparison flags = compare(two_weights(1.0F, 1.0F), two_weights(-1.0F, 1.0F), rows, {}, silent);
  // b: (1, -3) and (4, 2): it says as a does of the first example alone.
  EXPECT_EQ(flags.score_a.correct, 1);
  EXPECT_EQ(flags.score_b.correct, 1);
  EXPECT_EQ(flags.predictions_changed, 1);
  EXPECT_THAT(report::to_text(flags), HasSubstr("1 of 2 predictions differ; right: A 1, B 1\n"));
}

TEST(Compare, AModelWithItselfIsEqual) {
  Reporter silent;
  const data::Dataset rows = rows_of(Tensor::from<float>({1.0F, 2.0F, 0.0F, 0.0F}, {2, 2}), 2);
  const Comparison comparison = compare(two_weights(0.0F, 0.0F), two_weights(0.0F, 0.0F), rows, {}, silent);
  for (const LayerDifference& layer : comparison.layers) {
    EXPECT_TRUE(std::isinf(layer.snr)) << layer.name;
    EXPECT_EQ(layer.cosine, 1.0) << "of zeros";
    EXPECT_EQ(layer.largest, 0.0);
  }
  EXPECT_EQ(first_below(comparison), nullptr);
}

/// A residual block in every form that a model has.
struct Forms {
  quant::OpenedModel fp32, qat, int8;
  data::Dataset images;

  Forms() {
    nn::Graph net;
    const auto x = net.input({6, 6, 2});
    auto y = net.conv2d(x, {.out_channels = 4, .kernel = 3, .padding = 1, .bias = false, .name = "conv1"});
    y = net.relu(net.batch_norm(y));
    auto z = net.conv2d(y, {.out_channels = 4, .kernel = 3, .padding = 1, .bias = false, .name = "conv2"});
    z = net.relu(net.add(net.batch_norm(z), y, "sum"));
    net.output(net.linear(net.flatten(z), {.out_features = 3, .name = "fc"}));
    net.initialize(1);
    nn::Graph prepared = quant::prepare(net, quant::QConfigMapping());
    images = rows_of(test::random_images({6, 6, 2}, 40, 1), 3);
    test::infer(prepared, images.examples);
    quant::freeze_observers(prepared);
    int8 = {.kind = "int8", .content = quant::convert(prepared).model};
    qat = {.kind = "qat", .content = std::move(prepared)};
    fp32 = {.kind = "fp32", .content = std::move(net)};
  }
};

std::vector<std::string> names_of(const Comparison& comparison) {
  std::vector<std::string> names;
  std::ranges::transform(comparison.layers, std::back_inserter(names), &LayerDifference::name);
  return names;
}

TEST(Compare, ValuesOfOneNameMeanTheSameInFloatAndInt8) {
  Reporter silent;
  Forms forms;
  for (const quant::OpenedModel* const other : {&forms.qat, &forms.int8}) {
    const Comparison comparison = compare(forms.fp32, *other, forms.images, {}, silent);
    EXPECT_THAT(names_of(comparison), ElementsAre("conv1", "conv2", "sum", "flatten1", "fc")) << other->kind;
    EXPECT_TRUE(comparison.only_a.empty());
    for (const LayerDifference& layer : comparison.layers) {
      EXPECT_GT(layer.snr, 25.0) << other->kind << ", " << layer.name << ": 8 bits are near";
      EXPECT_FALSE(std::isinf(layer.snr)) << layer.name;
      EXPECT_EQ(layer.type_a + " " + layer.type_b, "f32 u8");
    }
  }
}

TEST(Compare, FakeQuantizedAndInt8AreEqual) {
  Reporter silent;
  Forms forms;
  const Comparison comparison = compare(forms.qat, forms.int8, forms.images, {}, silent);
  EXPECT_EQ(comparison.layers.size(), 7U);
  EXPECT_EQ(first_below(comparison, 300.0), nullptr);
  EXPECT_EQ(comparison.predictions_changed, 0);
}

TEST(Compare, CountsCodesThatAreClipped) {
  Reporter silent;
  Forms forms;
  data::Dataset wide = forms.images;
  wide.examples = test::random_images({6, 6, 2}, 40, 1, 0.0F, 2.0F);
  const Comparison narrow = compare(forms.fp32, forms.int8, forms.images, {}, silent);
  const Comparison clipped = compare(forms.fp32, forms.int8, wide, {}, silent);
  EXPECT_LT(narrow.layers[0].saturated, 0.01);
  EXPECT_GT(clipped.layers[0].saturated, 0.02);
  EXPECT_LT(clipped.layers[0].snr, narrow.layers[0].snr);
}

TEST(Compare, DoesNotDependOnThreads) {
  Forms forms;
  const auto text_at = [&](int threads) {
    Reporter silent;
    std::string text;
    ThreadPool pool(threads);
    pool.run([&] { text = report::to_text(compare(forms.fp32, forms.int8, forms.images, {}, silent)); });
    return text;
  };
  EXPECT_EQ(text_at(1), text_at(3));
}

TEST(Compare, RefusesModelsThatHaveNothingInCommon) {
  Reporter silent;
  Forms forms;
  const data::Dataset rows = rows_of(Tensor::zeros({2, 2}, DType::F32), 2);
  EXPECT_THAT(error_of([&] { compare(two_weights(1, 1), forms.fp32, rows, {}, silent); }),
              HasSubstr("other inputs or outputs"));
  nn::Graph other;
  other.output(other.linear(other.input({2}), {.out_features = 2, .name = "else"}));
  other.initialize(1);
  const quant::OpenedModel named{.kind = "fp32", .content = std::move(other)};
  EXPECT_THAT(error_of([&] { compare(two_weights(1, 1), named, rows, {}, silent); }),
              HasSubstr("no layer of one name and shape in common"));
}

}  // namespace
}  // namespace detent::compare_test
