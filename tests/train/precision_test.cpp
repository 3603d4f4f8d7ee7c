// [train] precision, through whole runs and single steps.
#include <gtest/gtest.h>

#include <cmath>

#include "detent/recipes/model_builder.h"
#include "detent/train/step.h"
#include "tests/train/tiny_run.h"

namespace detent::train::precision_test {
namespace {

using namespace evaluation;
using namespace recipes;
using namespace report;

// All combinations of precision and method, with a layer that stays in float: 0 codes differ, and 1 and 3 threads write
// the same bytes.
class EveryPrecision : public testing::TestWithParam<std::tuple<std::string, std::string>> {};

TEST_P(EveryPrecision, GivesTheSameBytesAndTheSameCodes) {
  const auto& [precision, method] = GetParam();
  const std::vector<std::string> overrides{"train.precision=" + precision, "quantize.method=" + method,
                                           "quantize.keep_float=[\"fc1\"]", "quantize.compare_static=[]"};
  const TempFolder folder;
  const Metrics one = run_at(folder, "one", 1, overrides);
  const Metrics three = run_at(folder, "three", 3, overrides);
  const std::vector<std::string> files = method == "qat" ? std::vector<std::string>{"fp32.h5", "qat.h5", "int8.h5"}
                                         : method == "static"
                                             ? std::vector<std::string>{"fp32.h5", "prepared.h5", "int8.h5"}
                                             : std::vector<std::string>{"fp32.h5"};
  for (const std::string& file : files) {
    const std::string bytes = read_text(folder / "one" / file);
    EXPECT_FALSE(bytes.empty()) << file;
    EXPECT_TRUE(bytes == read_text(folder / "three" / file)) << file << " differs between 1 and 3 threads";
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "one" / "checkpoint.h5"));
  EXPECT_EQ(precision_name(one.fp32.precision), precision);
  EXPECT_EQ(one.fp32.scaler.has_value(), precision == "fp16");
  EXPECT_EQ(one.fp32.scaler, three.fp32.scaler);
  ASSERT_EQ(one.int8.has_value(), method != "none");
  if (one.int8) {
    EXPECT_GT(one.int8->verify.codes_compared, 0);
    EXPECT_EQ(one.int8->verify.codes_mismatched, 0) << to_text(one.int8->verify);
    EXPECT_EQ(one.int8->verify.codes_sha256, three.int8->verify.codes_sha256);
  }
  ASSERT_EQ(one.qat.has_value(), method == "qat");
  if (one.qat) {
    EXPECT_EQ(one.qat->scaler.has_value(), precision == "fp16") << "loss scaling belongs to the QAT phase, too";
  }
}

INSTANTIATE_TEST_SUITE_P(Run, EveryPrecision,
                         testing::Combine(testing::Values("fp32", "bf16", "fp16"),
                                          testing::Values("qat", "static", "none")),
                         [](const auto& test) { return std::get<0>(test.param) + "_" + std::get<1>(test.param); });

nn::Graph small_net() {
  const Recipe recipe = parse_recipe(
      "[model]\nlayers = [\"conv 8 5x5 stride 2\", \"relu\", \"maxpool 2\", \"flatten\", \"linear 16\", \"relu\", "
      "\"linear 10\"]",
      "small.toml");
  nn::Graph graph = build_model(recipe.model, {28, 28, 1}, 10);
  graph.initialize(7);
  return graph;
}

data::Batch digits(std::int64_t count) {
  const data::Dataset set = data::make_digits({.train = count, .test = 10, .seed = 5}).train;
  data::Loader loader(set, {.batch = count});
  data::Batch batch;
  loader.next(batch);
  return batch;
}

TEST(Precision, LowPrecisionsReachTheLossOfSinglePrecision) {
  const data::Batch batch = digits(256);
  const auto last_loss = [&](DType precision) {
    nn::Graph graph = small_net();
    TrainStep step(graph, {.precision = precision}, 1);
    double loss = 0.0;
    for (std::uint64_t i = 0; i < 60; ++i) {
      loss = step.run(batch.examples, batch.labels, 5e-3, i).loss;
    }
    return loss;
  };
  const double reference = last_loss(DType::F32);
  EXPECT_LT(reference, 0.5) << "the net does not learn";
  for (const DType precision : {DType::BF16, DType::F16}) {
    EXPECT_NEAR(last_loss(precision), reference, 0.1 * reference) << precision;
  }
}

std::vector<float> weights_of(nn::Graph& graph) {
  std::vector<float> all;
  for (const nn::NamedParameter& named : graph.parameters()) {
    const std::span<const float> values = std::as_const(named.parameter->value).data<float>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

TEST(Precision, StepsWhoseGradientsOverflowAreSkippedUntilTheScaleFits) {
  const data::Batch batch = digits(32);
  nn::Graph graph = small_net();
  TrainStep step(graph, {.precision = DType::F16}, 1);
  TrainStep::State state = step.state();
  state.scaler = optim::GradScaler::State{.scale = 0x1p60F};
  step.set_state(state);
  float scale = 0x1p60F;
  std::int64_t skipped = 0;
  for (bool is_taken = false; !is_taken && skipped < 60;) {
    const std::vector<float> before = weights_of(graph);
    is_taken = !step.run(batch.examples, batch.labels, 1e-3, 0).is_skipped;
    EXPECT_EQ(weights_of(graph) != before, is_taken) << "after " << skipped << " skipped steps";
    scale *= is_taken ? 1.0F : 0.5F;
    skipped += is_taken ? 0 : 1;
    const optim::GradScaler::State expected{.scale = scale, .finite_steps = is_taken ? 1 : 0, .skipped_steps = skipped};
    ASSERT_EQ(step.scaler(), expected) << "after " << skipped << " skipped steps";
  }
  EXPECT_GT(skipped, 30);
  EXPECT_LT(skipped, 60);
}

TEST(Precision, GradientsAreUnscaledBeforeTheyAreClipped) {
  constexpr double kNorm = 1e-2;
  const data::Batch batch = digits(32);
  nn::Graph graph = small_net();
  TrainStep step(graph, {.optimizer = OptimizerKind::Sgd, .momentum = 0.0, .clip_norm = kNorm, .precision = DType::F16},
                 1);
  const std::vector<float> before = weights_of(graph);
  while (step.run(batch.examples, batch.labels, 1.0, 0).is_skipped) {
  }
  const std::vector<float> after = weights_of(graph);
  double sum = 0.0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    sum += std::pow(static_cast<double>(after[i]) - static_cast<double>(before[i]), 2);
  }
  EXPECT_NEAR(std::sqrt(sum), kNorm, 1e-3 * kNorm);
}

}  // namespace
}  // namespace detent::train::precision_test
