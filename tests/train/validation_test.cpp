#include "detent/train/epochs/validation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "detent/nn/fuse_relu.h"
#include "detent/quant/passes/prepare.h"
#include "detent/train/losses/loss.h"
#include "detent/train/train.h"
#include "tests/data/temp_folder.h"
#include "tests/error_of.h"
#include "tests/train/table_data.h"

namespace detent::train::validation_test {
namespace {

using data::TargetKind;
using evaluation::Reporter;
using testing::HasSubstr;

constexpr const char* kLayers =
    R"(model.layers=["linear 16", "batchnorm", "relu", "dropout 0.1", "linear 16", "relu", "linear 2"])";

nn::Graph small_graph() {
  nn::Graph graph = recipes::build_model(recipes::parse_recipe("", "small.toml", {kLayers}).model, {6}, 2);
  graph.initialize(1);
  return graph;
}

std::vector<float> numbers_of(const nn::Graph& graph) {
  std::vector<float> all;
  for (const nn::Graph::Node& node : graph.nodes()) {
    for (const nn::Slot& slot : node.owns_module() ? node.module->slots() : std::vector<nn::Slot>()) {
      if (slot.tensor->defined() && slot.tensor->dtype() == DType::F32) {
        const std::span<const float> values = std::as_const(*slot.tensor).data<float>();
        all.insert(all.end(), values.begin(), values.end());
      }
    }
  }
  return all;
}

TrainSettings batches_of(std::int64_t batch) {
  TrainSettings train;
  train.batch = batch;
  return train;
}

TrainOptions options_of(const TrainSettings& train, const std::filesystem::path& checkpoint = {}) {
  TrainOptions options;
  options.train = train;
  options.seed = 3;
  options.checkpoint = checkpoint;
  return options;
}

class Messages : public Reporter {
 public:
  void message(const std::string& text) override { texts.push_back(text); }
  void progress(const evaluation::Progress& progress) override {
    if (progress.is_epoch_end() && progress.loss) {
      ends.push_back(progress);
    }
  }
  std::vector<std::string> texts;
  std::vector<evaluation::Progress> ends;
};

TEST(Validation, ChangesNoBitOfTraining) {
  const data::Dataset train = table(TargetKind::kValues, 300, 1, 2), held_out = table(TargetKind::kValues, 90, 2, 2);
  for (const bool is_qat : {false, true}) {
    std::vector<std::vector<float>> results;
    for (const bool is_validated : {false, true}) {
      nn::Graph graph =
          is_qat ? quant::prepare_qat(small_graph(), quant::QConfigMapping()) : nn::fuse_relu(small_graph());
      Reporter silent;
      const TrainPhase phase{.name = "float", .epochs = 3, .validation = is_validated ? &held_out : nullptr};
      const TrainResult result = train_phase(graph, train, options_of(batches_of(32)), phase, silent);
      EXPECT_EQ(result.epochs.size(), 3U);
      EXPECT_EQ(result.epochs[2].validation_loss.has_value(), is_validated);
      results.push_back(numbers_of(graph));
    }
    EXPECT_TRUE(results[0] == results[1]) << (is_qat ? "QAT" : "float");
  }
}

TEST(Validation, IsTheLossAndScoreOfTheWholePart) {
  nn::Graph graph = small_graph();
  const data::Dataset part = table(TargetKind::kValues, 300, 2, 2);  // a batch of 256 and a rest
  const TrainSettings train = settled_for({}, part);
  Reporter silent;
  const Validation validation = validate(graph, part, {}, train, silent);
  // The mean squared error, by hand of the score: the mean over columns of squared errors.
  double squares = 0.0;
  for (const evaluation::TargetScore::Column& column : validation.score.columns) {
    squares += column.squared_error / 300 / 2;
  }
  EXPECT_EQ(validation.score.examples, 300);
  EXPECT_NEAR(validation.loss, squares, 1e-6 * squares);
  evaluation::Evaluation evaluated = evaluation::evaluate(graph, part, {}, silent);
  EXPECT_EQ(validation.score, evaluated.score);
}

// 60 examples and a high learning rate: the model learns its examples by heart, and is best before the end.
TrainResult overfit(nn::Graph& graph, const TrainSettings& train, const data::Dataset& held_out, Reporter& reporter,
                    const std::filesystem::path& checkpoint = {}) {
  TrainSettings settings = train;
  settings.batch = 20;
  settings.schedule = settings.schedule == ScheduleKind::Cosine ? ScheduleKind::Constant : settings.schedule;
  const TrainPhase phase{.name = "float", .epochs = 40, .learning_rate = 0.03, .validation = &held_out};
  return train_phase(graph, table(TargetKind::kFlags, 60, 1, 2), options_of(settings, checkpoint), phase, reporter);
}

double lowest_loss(const TrainResult& result) {
  double lowest = std::numeric_limits<double>::infinity();
  for (const evaluation::EpochResult& epoch : result.epochs) {
    lowest = std::min(lowest, *epoch.validation_loss);
  }
  return lowest;
}

TEST(Validation, KeepBestEndsWithTheBestEpoch) {
  const TempFolder folder;
  const data::Dataset held_out = table(TargetKind::kFlags, 200, 2, 2);
  nn::Graph graph = small_graph();
  nn::Graph fused = nn::fuse_relu(graph);
  Messages messages;
  const TrainResult result = overfit(fused, {.keep = Keep::Best}, held_out, messages, folder / "checkpoint.h5");
  ASSERT_EQ(result.epochs.size(), 40U);
  ASSERT_LT(lowest_loss(result), *result.epochs.back().validation_loss) << "the case shows nothing";
  Reporter silent;
  const TrainSettings train = settled_for({}, held_out);
  EXPECT_EQ(validate(fused, held_out, {}, train, silent).loss, lowest_loss(result));
  EXPECT_EQ(validate(graph, held_out, {}, train, silent).loss, lowest_loss(result)) << "who shares the weights";
  ASSERT_EQ(messages.texts.size(), 1U);
  EXPECT_THAT(messages.texts[0], HasSubstr(" of 40, the best in validation loss: "));
  EXPECT_EQ(result.kept_step % 3, 0);
  EXPECT_LT(result.kept_step, result.steps);

  const Checkpoint best = load_checkpoint(folder / "checkpoint-best.h5");
  EXPECT_EQ(best.position.step, result.kept_step);
  EXPECT_TRUE(numbers_of(best.graph) == numbers_of(fused));

  nn::Graph last = nn::fuse_relu(small_graph());
  const TrainResult all = overfit(last, {}, held_out, silent);
  EXPECT_EQ(all.kept_step, all.steps);
  EXPECT_EQ(validate(last, held_out, {}, train, silent).loss, *all.epochs.back().validation_loss);
}

TEST(Validation, PatienceEndsAPhase) {
  const data::Dataset held_out = table(TargetKind::kFlags, 200, 2, 2);
  nn::Graph graph = nn::fuse_relu(small_graph());
  Messages messages;
  const TrainResult result = overfit(graph, {.patience = 3}, held_out, messages);
  const auto epochs = static_cast<std::int64_t>(result.epochs.size());
  ASSERT_LT(epochs, 40);
  EXPECT_EQ(result.steps, 3 * epochs);
  EXPECT_EQ(result.epochs[static_cast<std::size_t>(epochs - 4)].validation_loss, lowest_loss(result));
  ASSERT_EQ(messages.texts.size(), 1U);
  EXPECT_EQ(messages.texts[0], "float training: ended after epoch " + std::to_string(epochs) +
                                   " of 40, for none of the last 3 was better than epoch " +
                                   std::to_string(epochs - 3));
}

TEST(Validation, APlateauLowersTheLearningRate) {
  const data::Dataset held_out = table(TargetKind::kFlags, 200, 2, 2);
  nn::Graph graph = nn::fuse_relu(small_graph());
  Reporter silent;
  const TrainResult result =
      overfit(graph, {.schedule = ScheduleKind::Plateau, .step_factor = 0.5, .plateau_patience = 1}, held_out, silent);
  EXPECT_EQ(result.epochs.front().learning_rate, 0.03);
  EXPECT_LT(result.epochs.back().learning_rate, 0.01);
}

TEST(Validation, IsPartOfTheEpochsLine) {
  const data::Dataset train = table(TargetKind::kValues, 100, 1, 2), held_out = table(TargetKind::kValues, 50, 2, 2);
  nn::Graph graph = nn::fuse_relu(small_graph());
  Messages messages;
  const TrainPhase phase{.name = "float", .epochs = 2, .validation = &held_out};
  const TrainResult result = train_phase(graph, train, options_of(batches_of(50)), phase, messages);
  ASSERT_EQ(messages.ends.size(), 2U) << "one line an epoch";
  EXPECT_EQ(messages.ends[1].validation_loss, result.epochs[1].validation_loss);
  EXPECT_EQ(messages.ends[1].validation_accuracy, result.epochs[1].validation_accuracy);
  EXPECT_STREQ(messages.ends[1].measure, "R2");
}

// Without dropout and batch norm, two batches that make one step are one batch of twice the size.
TEST(Accumulation, IsAStepOfAllItsExamples) {
  const data::Dataset train = table(TargetKind::kValues, 150, 1, 2);  // steps of 64, 64 and 22
  const auto trained = [&](std::int64_t batch, std::int64_t accumulate, int threads, double clip_norm = 0.0) {
    nn::Graph graph;
    const auto x = graph.relu(graph.linear(graph.input({6}), {.out_features = 8, .name = "fc1"}));
    graph.output(graph.linear(x, {.out_features = 2, .name = "fc2"}));
    graph.initialize(1);
    TrainResult result;
    ThreadPool(threads).run([&] {
      Reporter silent;
      const TrainSettings settings{
          .batch = batch, .accumulate = accumulate, .optimizer = OptimizerKind::Sgd, .clip_norm = clip_norm};
      result =
          train_phase(graph, train, options_of(settings), {.name = "float", .epochs = 2, .learning_rate = 0.1}, silent);
    });
    EXPECT_EQ(result.steps, 6);
    return numbers_of(graph);
  };
  for (const double clip_norm : {0.0, 0.5}) {
    const std::vector<float> whole = trained(64, 1, 2, clip_norm), parts = trained(32, 2, 2, clip_norm);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      EXPECT_NEAR(parts[i], whole[i], 1e-5) << i << ", clip_norm " << clip_norm;
    }
  }
  const std::vector<float> halves = trained(32, 2, 2);
  EXPECT_TRUE(halves == trained(32, 2, 1)) << "other threads";
  EXPECT_FALSE(halves == trained(22, 3, 2)) << "the case shows nothing";
}

// A model that doubles its inputs, of which example 5 is the largest.
TEST(NotFinite, IsToldWithStepLayerAndExample) {
  data::Dataset train = table(TargetKind::kValues, 12, 1, 2);
  train.examples.data<float>()[5 * 6] = 3e38F;
  nn::Graph graph;
  graph.output(graph.linear(graph.input({6}), {.out_features = 2, .name = "fc"}));
  graph.initialize(1);
  std::ranges::fill(graph.parameters()[0].parameter->value.data<float>(), 2.0F);
  Reporter silent;
  const auto error_with = [&](const TrainOptions& options) {
    return error_of([&] { train_phase(graph, train, options, {.name = "float", .epochs = 1}, silent); });
  };
  EXPECT_THAT(error_with(options_of(batches_of(12))),
              testing::AllOf(HasSubstr("float training: step 1 of 1: the loss is not finite; "),
                             HasSubstr("; fc is the first layer to give one: inf for example 5")));
  std::ranges::fill(graph.parameters()[0].parameter->value.data<float>(), 0.1F);
  EXPECT_THAT(error_with(options_of(batches_of(12))),
              HasSubstr("all layers give finite numbers, for example 5 up to 3e+37: too large for the loss"));
}

TEST(NotFinite, TellsWhereTheLastGoodStateIs) {
  const TempFolder folder;
  const data::Dataset train = table(TargetKind::kValues, 40, 1, 2);
  nn::Graph graph = nn::fuse_relu(small_graph());
  const auto break_it = [&](std::int64_t step, std::int64_t) {
    if (step == 2) {  // the first of epoch 2
      graph.parameters().back().parameter->value.data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
    }
  };
  Reporter silent;
  const std::string error = error_of([&] {
    train_phase(graph, train, options_of(batches_of(20), folder / "checkpoint.h5"),
                {.name = "float", .epochs = 3, .before_step = break_it}, silent);
  });
  EXPECT_THAT(error, testing::AllOf(HasSubstr("float training: step 3 of 6: the loss is not finite"),
                                    HasSubstr("fc3 is the first layer to give one: nan for example "),
                                    HasSubstr("; the state after step "), HasSubstr("checkpoint.h5")));
  EXPECT_EQ(load_checkpoint(folder / "checkpoint.h5").position.epoch, 1);
}

TEST(Keeping, TheBestOfARunIsExactInInt8) {
  const TempFolder folder;
  const auto metrics =
      run_table(TargetKind::kFlags, folder / "out",
                {"data.validation=0.2", "train.keep=best", "train.patience=2", "train.schedule=constant",
                 "train.learning_rate=0.03", "qat.epochs=6", "qat.learning_rate=0.02", "qat.freeze_observers_at=0.4"});
  EXPECT_EQ(metrics.int8->verify.codes_mismatched, 0) << to_text(metrics.int8->verify);
  EXPECT_EQ(metrics.int8->score, metrics.qat->score);
  EXPECT_LE(metrics.epochs.size(), 18U);
  for (const char* const file : {"checkpoint.h5", "checkpoint-best.h5"}) {
    EXPECT_FALSE(std::filesystem::exists(folder / "out" / file)) << file;
  }
}

// Where no epoch ends with ranges that stand still, they freeze after the best one.
TEST(Keeping, TheBestBeforeRangesFreezeIsFrozenThen) {
  const TempFolder folder;
  for (const char* const patience : {"train.patience=0", "train.patience=1"}) {
    const auto metrics = run_table(
        TargetKind::kValues, folder / "out",
        {"data.validation=0.2", "train.keep=best", patience, "train.epochs=2", "train.schedule=constant",
         "qat.epochs=4", "qat.learning_rate=0.03", "qat.freeze_observers_at=1.0", "qat.freeze_batch_norm_at=1.0"});
    EXPECT_EQ(metrics.int8->verify.codes_mismatched, 0) << to_text(metrics.int8->verify);
    EXPECT_EQ(metrics.int8->score, metrics.qat->score);
  }
}

}  // namespace
}  // namespace detent::train::validation_test
