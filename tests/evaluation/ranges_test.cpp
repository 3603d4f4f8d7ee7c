// Where the ranges of whole runs end, on data that small batches and calibrations see little of.
#include <gmock/gmock.h>

#include <algorithm>

#include "detent/evaluation/evaluate.h"
#include "detent/quant/passes/prepare.h"
#include "detent/recipes/model_builder.h"
#include "tests/train/tiny_run.h"

namespace detent::evaluation::ranges_test {
namespace {

using namespace recipes;
using namespace report;
using namespace train;

using testing::Contains;
using testing::HasSubstr;

constexpr const char* kPerceptron = R"(# perceptron
[model]
layers = ["flatten", "linear 32", "relu", "linear 10"]
[train]
epochs = 4
batch = 1
optimizer = "sgd"
learning_rate = 3e-3
[quantize]
calibration = 256
compare_static = []
[qat]
epochs = 4
learning_rate = 1e-3
)";

/// Runs on 400 digits, of which those that `is_black` says are black.
template <typename IsBlack>
Metrics run_on_black(const IsBlack& is_black, const std::vector<std::string>& overrides = {}) {
  const TempFolder folder;
  data::DataSource digits = data::make_digits({.train = 400, .test = 300, .seed = 3});
  const auto pixels = static_cast<std::size_t>(digits.train.example_shape().elements());
  for (std::int64_t i = 0; i < digits.train.size(); ++i) {
    if (is_black(i)) {
      std::ranges::fill(
          digits.train.examples.data<std::uint8_t>().subspan(static_cast<std::size_t>(i) * pixels, pixels),
          std::uint8_t{0});
    }
  }
  data::write_idx_folder(folder / "digits", digits);
  Reporter silent;
  return run(parse_recipe(kPerceptron, "perceptron.toml", overrides),
             {.data = folder / "digits", .out = folder / "out", .threads = 2}, silent);
}

// A calibration of three batches: what the last one added.
TEST(Ranges, OfACalibrationTellHowTheyGrew) {
  const data::Dataset digits = data::make_digits({.train = 700, .test = 10, .seed = 3}).train;
  const Recipe recipe = parse_recipe(kPerceptron, "perceptron.toml");
  nn::Graph graph = build_model(recipe.model, {28, 28, 1}, 10);
  graph.initialize(1);
  Reporter silent;
  const auto calibrated = [&](std::int64_t examples, Calibration& calibration) {
    nn::Graph prepared = quant::prepare(graph, recipe.qconfig_mapping());
    calibration = calibrate(prepared, digits, {}, examples, 5, silent);
    return quant::range_reports(prepared);
  };
  Calibration part, whole, one;
  const std::vector<quant::RangeReport> before = calibrated(512, part);
  const std::vector<quant::RangeReport> after = calibrated(700, whole);
  EXPECT_EQ(part.examples, 512);
  EXPECT_EQ(part.last, 256);
  EXPECT_EQ(whole.examples, 700);
  EXPECT_EQ(whole.last, 700 - 512);
  ASSERT_EQ(whole.growths.size(), after.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(whole.growths[i].name, after[i].name);
    EXPECT_EQ(whole.growths[i].before, before[i].range);
    EXPECT_EQ(whole.growths[i].after, after[i].range);
    EXPECT_GE(whole.growths[i].share(), 0.0);
  }
  calibrated(256, one);
  EXPECT_TRUE(one.growths.empty());
  const Calibration::Growth growth{"", {-1.0F, 3.0F}, {-2.0F, 3.0F}};
  EXPECT_EQ(growth.share(), 0.25);
}

TEST(Ranges, HalfOfTheImagesBlackInBatchesOfOne) {
  const Metrics metrics = run_on_black([](std::int64_t i) { return i % 2 == 0; });
  ASSERT_EQ(metrics.int8->ranges[0].name, "input_quantize");
  EXPECT_GT(metrics.int8->ranges[0].range.max, 0.95F);
  EXPECT_GT(metrics.int8->test_accuracy, metrics.fp32.test_accuracy - 0.05) << "float " << metrics.fp32.test_accuracy;
  EXPECT_GT(metrics.fp32.test_accuracy, 0.4);
  EXPECT_EQ(metrics.warnings, std::vector<std::string>());
}

// Most windows have not seen a single pixel.
TEST(Ranges, OneImageInAHundredIsNotBlack) {
  const Metrics metrics = run_on_black([](std::int64_t i) { return i % 100 != 50; }, {"train.epochs=1"});
  EXPECT_GT(metrics.int8->ranges[0].range.max, 0.9F);
  EXPECT_LT(metrics.int8->ranges[0].measured.clipped_share(), quant::kClippedShare);
}

TEST(Ranges, ACalibrationOnABlackImageFailsTheRun) {
  const std::int64_t first = data::shuffled_order(400, 1, 0)[0];
  const Metrics metrics =
      run_on_black([&](std::int64_t i) { return i == first; },
                   {"train.batch=8", "train.learning_rate=1e-2", "quantize.method=static", "quantize.calibration=1"});
  EXPECT_THAT(metrics.warnings, Contains(HasSubstr("calibration takes its ranges from 1 example;")));
  EXPECT_THAT(metrics.warnings, Contains(HasSubstr("int8: input_quantize: 100.0 % of the values are clipped; its range "
                                                   "is [0, 0], training examples reach [0, 1]")));
  EXPECT_THAT(metrics.failures, Contains(HasSubstr("points below float")));
}

// A range that a moving average leaves short is taken anew before it is frozen, and what stands behind it with it.
TEST(Ranges, SettleBeforeTheyAreFrozen) {
  const data::Dataset digits = data::make_digits({.train = 200, .test = 10, .seed = 3}).train;
  const Recipe recipe = parse_recipe(kPerceptron, "perceptron.toml");
  nn::Graph graph = build_model(recipe.model, {28, 28, 1}, 10);
  graph.initialize(1);
  nn::Graph prepared = quant::prepare_qat(graph, recipe.qconfig_mapping());
  nn::Tape tape;
  nn::Context context{.tape = tape, .training = true};
  prepared.forward(context, tape.constant(Tensor::full({32, 28, 28, 1}, DType::F32, 0.01)));
  Reporter silent;
  const std::vector<quant::RangeReport> before = measure_ranges(prepared, digits, {}, 100, 1, silent);
  EXPECT_GT(before[0].measured.clipped_share(), 0.9);
  settle_ranges(prepared, digits, {}, 100, 1, silent);
  for (const quant::RangeReport& report : measure_ranges(prepared, digits, {}, 100, 1, silent)) {
    EXPECT_LE(report.measured.clipped_share(), quant::kClippedShare) << report.name;
  }
}

}  // namespace
}  // namespace detent::evaluation::ranges_test
