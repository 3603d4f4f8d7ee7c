#include "detent/evaluation/rounding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "detent/report/rounding_table.h"
#include "tests/quant/qat_fixture.h"

namespace detent::rounding_test {
namespace {

using namespace evaluation;
using kernels::RoundingTarget;
using testing::HasSubstr;

constexpr RoundingTarget kAll[]{RoundingTarget::Detent, RoundingTarget::Torch, RoundingTarget::Onnx,
                                RoundingTarget::Tflite};

data::Dataset rows_of(const Tensor& examples, const std::vector<std::int32_t>& labels, std::int64_t classes) {
  return {.name = "rows",
          .examples = examples,
          .labels = Tensor::from(labels, {static_cast<std::int64_t>(labels.size())}),
          .classes = classes};
}

/// Two numbers to codes of scale 1, and back.
runtime::Model two_codes() {
  const auto map = std::make_shared<const QParams>(QParams::per_tensor({1.0F, 0}, unsigned_codes(8)));
  runtime::Model model;
  model.inputs = {{"x", {.shape = {2}}}};
  model.nodes.push_back({.name = "codes", .op = runtime::Quantize{}, .inputs = {0}, .output = {{2}, DType::U8, map}});
  model.nodes.push_back({.name = "reals", .op = runtime::Dequantize{}, .inputs = {1}, .output = {.shape = {2}}});
  model.output = 2;
  return model;
}

TEST(Rounding, CountsCodesAndPredictions) {
  Reporter silent;
  // Detent gives 2 2, of which the first of equal ones wins, 0 2 and 2 1; TFLite 2 3, 1 2 and 3 1.
  const data::Dataset rows = rows_of(Tensor::from<float>({2.0F, 2.5F, 0.5F, 1.5F, 2.5F, 1.0F}, {3, 2}), {0, 1, 1}, 2);
  const std::vector<TargetRounding> targets = evaluate_rounding(two_codes(), kAll, rows, {}, silent);
  ASSERT_EQ(targets.size(), 4U);
  for (const TargetRounding& target : targets) {
    const bool is_tflite = target.target == RoundingTarget::Tflite;
    ASSERT_EQ(target.layers.size(), 1U) << "the reals are no codes";
    EXPECT_EQ(target.layers[0].name, "codes");
    EXPECT_EQ(target.layers[0].operation, "quantize");
    EXPECT_EQ(target.layers[0].codes, 6);
    EXPECT_EQ(target.layers[0].differing, is_tflite ? 3 : 0);
    EXPECT_EQ(target.layers[0].largest, is_tflite ? 1 : 0);
    EXPECT_EQ(target.total.differing, target.layers[0].differing);
    EXPECT_EQ(target.images, 3);
    EXPECT_EQ(target.score.correct, is_tflite ? 1 : 2);
    EXPECT_EQ(target.predictions_changed, is_tflite ? 1 : 0);
  }
  const std::string text = report::to_text(targets);
  EXPECT_THAT(text, HasSubstr("Rounded as tflite does, beside Detent:"));
  EXPECT_THAT(text, testing::ContainsRegex("tflite +33.33 % +3 +6 +50.0000% +1 +1 of 3\n"));
  EXPECT_THAT(text, testing::ContainsRegex("onnx +66.67 % +0 +6 +0.0000% +0 +0 of 3\n"));
  const nlohmann::json json = report::to_json(targets);
  EXPECT_EQ(json[3]["target"], "tflite");
  EXPECT_EQ(json[3]["layers"][0]["codes_differing"], 3);
  EXPECT_EQ(json[3]["predictions_changed"], 1);
}

TEST(Rounding, OfValuesGivesR2) {
  Reporter silent;
  data::Dataset rows = rows_of(Tensor::from<float>({2.0F, 2.5F, 0.5F, 1.5F, 2.5F, 1.0F}, {3, 2}), {0, 1, 1}, 2);
  rows.targets = data::TargetKind::kValues;
  rows.labels = Tensor::from<float>({2.0F, 3.0F, 1.0F, 2.0F, 3.0F, 1.0F}, {3, 2});  // as TFLite rounds
  const std::vector<TargetRounding> targets = evaluate_rounding(two_codes(), kAll, rows, {}, silent);
  EXPECT_EQ(targets[3].accuracy(), 1.0);
  // Detent gives 2 2, 0 2 and 2 1: both columns have deviation 2, the first is off by 1 twice, the second once.
  EXPECT_DOUBLE_EQ(targets[0].accuracy(), ((1.0 - 2.0 / 2.0) + (1.0 - 1.0 / 2.0)) / 2.0);
  const std::string text = report::to_text(targets);
  EXPECT_THAT(text, HasSubstr("R2  codes differ"));
  EXPECT_THAT(text, testing::ContainsRegex("tflite +1.0000 +3 +6 +50.0000% +1\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("predictions changed")));
  const nlohmann::json json = report::to_json(targets);
  EXPECT_EQ(json[0]["r2"], 0.25);
  EXPECT_FALSE(json[0].contains("predictions_changed"));
  EXPECT_FALSE(json[0].contains("test_accuracy"));
}

/// Every kind of module, with its images.
struct Converted {
  runtime::Model int8;
  data::Dataset images;

  Converted() {
    nn::Graph net = test::everything_net();
    net.initialize(1);
    nn::Graph prepared = quant::prepare(net, quant::QConfigMapping());
    images = rows_of(test::random_images(net.input_shape(), 300, 1), std::vector<std::int32_t>(300, 0), 5);
    test::infer(prepared, images.examples);
    quant::freeze_observers(prepared);
    int8 = quant::convert(prepared).model;
  }
};

TEST(Rounding, DetentsHasNoDifferenceAndOthersHaveSmallOnes) {
  Reporter silent;
  const Converted model;
  for (const TargetRounding& target : evaluate_rounding(model.int8, kAll, model.images, {}, silent)) {
    const std::string name(name_in(kernels::rounding_targets(), target.target));
    EXPECT_EQ(target.images, 300) << name;
    EXPECT_GT(target.layers.size(), 10U) << name;
    if (target.target == RoundingTarget::Detent) {
      EXPECT_EQ(target.total.differing, 0);
      EXPECT_EQ(target.predictions_changed, 0);
    } else {
      EXPECT_GT(target.total.differing, 0) << name;
      EXPECT_LT(target.total.share(), 0.1) << name;
      EXPECT_LE(target.total.largest, 4) << name;
      EXPECT_TRUE(target.detents_layers().empty()) << name << ": " << target.detents_layers()[0];
    }
  }
}

TEST(Rounding, NamesLayersThatKeepDetentsRule) {
  Reporter silent;
  nn::Graph net;
  net.output(net.softmax(net.linear(net.input({4}), {.out_features = 3, .name = "fc"}), "p"));
  net.initialize(1);
  nn::Graph prepared = quant::prepare(net, quant::QConfigMapping());
  const data::Dataset rows = rows_of(test::random_images({4}, 20, 1), std::vector<std::int32_t>(20, 0), 3);
  test::infer(prepared, rows.examples);
  quant::freeze_observers(prepared);
  const std::vector<TargetRounding> targets = evaluate_rounding(quant::convert(prepared).model, kAll, rows, {}, silent);
  EXPECT_TRUE(targets[2].detents_layers().empty());
  EXPECT_THAT(targets[3].detents_layers(), testing::ElementsAre("p"));
  EXPECT_THAT(report::to_text(targets), HasSubstr("tflite has no rule for p: Detent's is used"));
}

TEST(Rounding, RefusesModelsOfFloats) {
  Reporter silent;
  runtime::Model floats;
  floats.inputs = {{"x", {.shape = {2}}}};
  floats.nodes.push_back({.name = "relu", .op = runtime::Activation{}, .inputs = {0}, .output = {.shape = {2}}});
  floats.output = 1;
  const data::Dataset rows = rows_of(Tensor::zeros({1, 2}, DType::F32), {0}, 2);
  EXPECT_THAT(error_of([&] { evaluate_rounding(floats, kAll, rows, {}, silent); }), HasSubstr("no codes to round"));
}

}  // namespace
}  // namespace detent::rounding_test
