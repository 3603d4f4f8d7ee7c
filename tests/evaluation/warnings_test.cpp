// Each warning on both sides of its limit, and in whole runs.
#include "detent/evaluation/findings.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/train/tiny_run.h"

namespace detent::evaluation::warnings_test {
namespace {

using namespace recipes;
using namespace report;
using namespace train;

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Metrics healthy() {
  Metrics metrics{.recipe = "r", .chance = 0.12};
  metrics.fp32 = {.test_accuracy = 0.98, .model_bytes = 4, .steps = 1000, .loss = 0.3};
  metrics.qat = TrainedResult{.test_accuracy = 0.98, .steps = 1000, .loss = 0.3};
  metrics.int8 = Int8Result{.name = "int8", .test_accuracy = 0.97};
  metrics.int8->verify.images = 10000;
  metrics.int8->ranges = {{.name = "conv1",
                           .range = {0.0F, 1.0F},
                           .measured = {.seen = {0.0F, 3.0F}, .codes = {0.0F, 255.0F}, .nonzero = 100, .clipped = 2}}};
  metrics.variants = {*metrics.int8};
  metrics.variants[0].name = "static int8 per-tensor";
  return metrics;
}

std::vector<std::string> texts_of(const Metrics& metrics, const CheckSettings& check = {}) {
  Metrics copy = metrics;
  add_findings(check, copy);
  return copy.warnings;
}

TEST(Warnings, AHealthyRunHasNone) {
  EXPECT_THAT(texts_of(healthy()), IsEmpty());
  EXPECT_THAT(failures_of({}, healthy()), IsEmpty());
}

TEST(Warnings, LossesThatNoNetworkThatLearnsHas) {
  Metrics metrics = healthy();
  metrics.fp32.loss = 101.0;
  EXPECT_THAT(texts_of(metrics),
              ElementsAre("float: the loss of the last step is 101; lower learning_rate, or set clip_norm"));
  EXPECT_THAT(failures_of({}, metrics), IsEmpty());
  metrics.qat->loss = 1e31;
  EXPECT_THAT(failures_of({}, metrics),
              ElementsAre("QAT: the loss of the last step is 1e+31; lower learning_rate, or set clip_norm"));
}

TEST(Warnings, TrainingThatHasLearnedNothing) {
  Metrics metrics = healthy();
  metrics.int8.reset();
  metrics.fp32.test_accuracy = 0.12;
  EXPECT_THAT(failures_of({}, metrics),
              ElementsAre("float: nothing was learned in 1000 steps: accuracy 0.12, by chance 0.12"));
  metrics.fp32.steps = 99;
  EXPECT_THAT(failures_of({}, metrics), IsEmpty()) << "too few steps to tell";
  EXPECT_THAT(texts_of(metrics),
              ElementsAre("float: nothing was learned in 99 steps: accuracy 0.12, by chance 0.12; train longer"));
  metrics.fp32.steps = 0;
  EXPECT_THAT(texts_of(metrics), IsEmpty()) << "not trained";
  metrics.fp32.steps = 1000;
  metrics.chance = 0.9;
  EXPECT_EQ(texts_of(metrics).size(), 1U);
  EXPECT_THAT(failures_of({}, metrics), IsEmpty()) << "most examples are of one class: hardly to be told";
}

TEST(Warnings, Int8FarBelowFloat) {
  Metrics metrics = healthy();
  metrics.variants.clear();
  metrics.int8->test_accuracy = 0.9;
  EXPECT_THAT(texts_of(metrics), ElementsAre("int8: 8.0 points below float: accuracy 0.9 against 0.98"));
  EXPECT_THAT(failures_of({}, metrics), IsEmpty());
  metrics.int8->test_accuracy = 0.87;
  EXPECT_THAT(failures_of({}, metrics), ElementsAre("int8: 11.0 points below float: accuracy 0.87 against 0.98"));
  EXPECT_THAT(failures_of({.max_drop = 0.2}, metrics), IsEmpty()) << "the recipe allows it";
  EXPECT_THAT(failures_of({.max_drop = 0.1}, metrics), ElementsAre(HasSubstr("max_drop: expected <= 0.1")));
  metrics.int8->verify.images = 100;
  EXPECT_THAT(failures_of({}, metrics), IsEmpty()) << "11 of 100 images may be luck";
  metrics.int8->verify.images = 10000;
  metrics.fp32.steps = 0;
  EXPECT_THAT(texts_of(metrics), IsEmpty()) << "there is no float model to compare with";
}

TEST(Warnings, QatFarBelowStaticQuantization) {
  Metrics metrics = healthy();
  metrics.fp32 = {.test_accuracy = 0.1};
  metrics.int8->test_accuracy = 0.27;
  EXPECT_THAT(failures_of({}, metrics),
              ElementsAre("int8: 70.0 points below static int8 per-tensor: accuracy 0.27 against 0.97"));
  metrics = healthy();
  metrics.variants[0].test_accuracy = 0.5;
  EXPECT_THAT(texts_of(metrics),
              ElementsAre("static int8 per-tensor: 48.0 points below float: accuracy 0.5 against 0.98"));
  EXPECT_THAT(failures_of({}, metrics), IsEmpty()) << "a comparison, not the result";
}

TEST(Warnings, QuantizersThatClipOrAreDead) {
  Metrics metrics = healthy();
  metrics.int8->ranges[0].measured.clipped = 3;
  EXPECT_THAT(texts_of(metrics), ElementsAre("int8: conv1: 3.0 % of the values are clipped; its range is [0, 1], "
                                             "training examples reach [0, 3]; lower [qat] learning_rate, or "
                                             "freeze_observers_at later"));
  metrics.int8->ranges[0].is_learned = true;
  EXPECT_THAT(texts_of(metrics), IsEmpty()) << "training chose what to clip";
  metrics.int8->ranges[0].is_learned = false;
  metrics.int8->method = quant::Method::Static;
  EXPECT_THAT(texts_of(metrics), ElementsAre(HasSubstr("; raise [quantize] calibration, or write activations = ")));
  metrics.int8->ranges[0].measured.codes = {7.0F, 7.0F};
  EXPECT_THAT(texts_of(metrics), ElementsAre("int8: conv1: all values become one code; its range is [0, 1], training "
                                             "examples reach [0, 3]; lower learning_rate, or set clip_norm"));
}

TEST(Warnings, RangesThatStillGrewAsCalibrationEnded) {
  Metrics metrics = healthy();
  metrics.variants[0].calibration =
      Calibration{.examples = 1024,
                  .last = 256,
                  .growths = {{.name = "steady", .before = {-1.0F, 1.0F}, .after = {-1.0625F, 1.0625F}},
                              {.name = "conv1", .before = {0.0F, 2.0F}, .after = {0.0F, 2.5F}},
                              {.name = "shrinks", .before = {0.0F, 2.0F}, .after = {0.0F, 1.0F}},
                              {.name = "zeros", .before = {0.0F, 0.0F}, .after = {0.0F, 1.0F}}}};
  EXPECT_THAT(texts_of(metrics),
              ElementsAre("static int8 per-tensor: conv1: its range still grew by 25 % over the last 256 of 1024 "
                          "calibration examples; set [quantize] calibration to 2048 or more"));
  metrics.int8->calibration = metrics.variants[0].calibration;
  EXPECT_THAT(texts_of(metrics), ElementsAre(HasSubstr("int8: conv1: its range still grew by 25 %")))
      << "told of one model";
  metrics.int8->calibration = Calibration{.examples = 256};
  EXPECT_THAT(texts_of(metrics), IsEmpty()) << "one batch alone says nothing of growth";
}

TEST(Warnings, ChannelsThatReachFarBeyondTheOthers) {
  Metrics metrics = healthy();
  quant::RangeReport& conv = metrics.int8->ranges[0];
  conv.channels = {.count = 8, .largest = 12.0F, .median = 0.5F, .outliers = {3, 7}};
  EXPECT_THAT(
      texts_of(metrics),
      ElementsAre("int8: conv1: 2 of 8 channels (3, 7) reach more than 10 times as far as the median one, up to "
                  "12 against 0.5; they share one scale: train with weight_decay, or give the layer a range "
                  "rule that clips (\"uint8 mse\" in [quantize.layers])"));
  conv.weights = conv.channels;
  EXPECT_EQ(texts_of(metrics).size(), 1U) << "its weights have a scale a channel";
  conv.shares_weight_scale = true;
  EXPECT_THAT(
      texts_of(metrics),
      Contains("int8: conv1: weights: 2 of 8 channels (3, 7) reach more than 10 times as far as the median one, "
               "up to 12 against 0.5; they share one scale: write weights = \"int8 per-channel\""));
  conv.channels.outliers = {0, 1, 2, 3, 4, 5};
  EXPECT_THAT(texts_of(metrics)[0], HasSubstr("(0, 1, 2, 3 and 2 more)"));
}

TEST(Warnings, ChannelsThatAreAlwaysZero) {
  Metrics metrics = healthy();
  quant::RangeReport& conv = metrics.int8->ranges[0];
  conv.channels = {.count = 8, .largest = 1.0F, .median = 1.0F, .outliers = {}, .dead = {1, 2, 5}};
  EXPECT_THAT(texts_of(metrics), IsEmpty()) << "of an input, which is as it is";
  conv.is_product = true;
  EXPECT_THAT(texts_of(metrics),
              ElementsAre("int8: conv1: 3 of 8 channels (1, 2, 5) are always 0; lower learning_rate, "
                          "or make the layer narrower"));
  conv.weights = {.count = 8, .dead = {1, 2, 5}};
  EXPECT_THAT(texts_of(metrics), ElementsAre("int8: conv1: the weights of 3 of 8 channels (1, 2, 5) are all 0; lower "
                                             "weight_decay or learning_rate, or make the layer narrower"));
  conv.weights.dead = conv.channels.dead = {1, 2};
  EXPECT_THAT(texts_of(metrics), IsEmpty()) << "a quarter is not much";
}

TEST(Warnings, StandInTheTableAndInTheJson) {
  Metrics metrics = healthy();
  metrics.fp32.loss = 1e31;
  metrics.int8->ranges[0].measured.clipped = 50;
  add_findings({}, metrics);
  metrics.failures = failures_of({}, metrics);
  const std::string table = report::to_text(metrics);
  EXPECT_THAT(table, HasSubstr("  WARNING  int8: conv1: 50.0 % of the values are clipped"));
  EXPECT_THAT(table, HasSubstr("  FAILED  float: the loss of the last step is 1e+31"));
  EXPECT_EQ(table.find("WARNING  float"), std::string::npos) << "told once\n" << table;
  const nlohmann::json json = report::to_json(metrics);
  EXPECT_EQ(json["warnings"], metrics.warnings);
  EXPECT_EQ(json["warnings"].size(), 2U);
  EXPECT_EQ(json["int8"]["ranges"][0]["clipped_share"], 0.5);
  EXPECT_TRUE(json["int8"]["calibration"].is_null());
  metrics.int8->calibration =
      Calibration{.examples = 512, .last = 256, .growths = {{"conv1", {0.0F, 1.0F}, {0.0F, 1.5F}}}};
  metrics.int8->ranges[0].channels = {.count = 3, .largest = 2.0F, .median = 1.0F, .outliers = {2}, .dead = {0}};
  const nlohmann::json channels = report::to_json(metrics)["int8"];
  EXPECT_EQ(channels["calibration"]["growths"][0]["growth"], 0.5);
  EXPECT_EQ(channels["ranges"][0]["channels"]["outliers"], std::vector<int>{2});
  EXPECT_EQ(channels["ranges"][0]["channels"]["dead"], std::vector<int>{0});
}

TEST(Warnings, ClassesWithoutExamplesAndSmallCalibrations) {
  const auto with = [](std::vector<std::int32_t> labels, std::int64_t classes) {
    const auto count = static_cast<std::int64_t>(labels.size());
    return data::Dataset{.name = "few",
                         .examples = Tensor::zeros({count, 1, 1, 1}, DType::U8),
                         .labels = Tensor::from(labels, {count}),
                         .classes = classes};
  };
  Recipe recipe;
  recipe.quantize.method = quant::Method::None;
  const data::Dataset all = with({0, 1, 2, 3}, 4);
  EXPECT_THAT(warnings_before(recipe, all, all), IsEmpty());
  EXPECT_THAT(warnings_before(recipe, with({0, 2, 2}, 4), all),
              ElementsAre("the training part has no example of class 1, 3: they cannot be learned"));
  EXPECT_THAT(warnings_before(recipe, all, with({0, 1, 2}, 3)),
              ElementsAre("the test part has no example of class 3: accuracies say nothing of them"));
  EXPECT_THAT(warnings_before(recipe, with({0}, 100), with({0}, 1)),
              Contains(HasSubstr("class 1, 2, 3, 4, 5, 6, 7, 8 and 91 more:")));
  EXPECT_EQ(chance_of(with({0, 1, 1, 2}, 3)), 0.5);

  recipe.quantize.method = quant::Method::Static;
  EXPECT_THAT(warnings_before(recipe, all, all),
              ElementsAre("calibration takes its ranges from 4 examples; set [quantize] calibration to 32 or more"));
  recipe.quantize.method = quant::Method::Qat;
  EXPECT_THAT(warnings_before(recipe, all, all), IsEmpty());
  recipe.qat.calibrate_first = true;
  EXPECT_EQ(warnings_before(recipe, all, all).size(), 1U);
}

TEST(Warnings, AnAbsurdLearningRateFailsTheRun) {
  const TempFolder folder;
  const Metrics metrics = run_at(folder, "out", 2,
                                 {"train.optimizer=sgd", "train.learning_rate=1e8", "quantize.method=none",
                                  "model.layers=[\"flatten\", \"linear 16\", \"relu\", \"linear 10\"]"});
  EXPECT_THAT(metrics.failures, Contains(HasSubstr("float: the loss of the last step is")));
}

TEST(Warnings, AShortRunThatLearnsHasNone) {
  const TempFolder folder;
  const Metrics metrics = run_at(
      folder, "out", 2,
      {"train.epochs=8", "data.augment=none", "model.layers=[\"flatten\", \"linear 32\", \"relu\", \"linear 10\"]"});
  EXPECT_EQ(metrics.warnings, std::vector<std::string>());
}

}  // namespace
}  // namespace detent::evaluation::warnings_test
