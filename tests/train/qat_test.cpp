// The schedules of quantization-aware training, as sequences.
#include "detent/train/qat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "detent/nn/model_file.h"
#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/passes/prepare.h"
#include "detent/recipes/model_builder.h"
#include "detent/recipes/run.h"
#include "tests/train/tiny_run.h"

namespace detent::train::qat_test {
namespace {

using namespace evaluation;
using namespace recipes;

using testing::HasSubstr;

Moment epochs(double count) { return {count, Moment::Unit::Epochs}; }
Moment steps(double count) { return {count, Moment::Unit::Steps}; }

QatSettings settings_of(std::int64_t epochs, std::int64_t start, Moment batch_norm, Moment observers) {
  QatSettings qat;
  qat.epochs = epochs;
  qat.start = start;
  qat.freeze_batch_norm_at = batch_norm;
  qat.freeze_observers_at = observers;
  return qat;
}

TEST(QatSchedule, SaysTheStepOfEachChange) {
  const auto is = [](std::int64_t steps, std::int64_t start, std::int64_t batch_norm, std::int64_t observers) {
    return QatSchedule{steps, start, batch_norm, observers};
  };
  EXPECT_EQ(qat_schedule(settings_of(4, 0, 0.5, 0.8), 10), is(40, 0, 20, 32));
  EXPECT_EQ(qat_schedule(settings_of(1, 0, 0.5, 0.8), 7), is(7, 0, 3, 5)) << "shares are rounded down";
  EXPECT_EQ(qat_schedule(settings_of(4, 0, epochs(1), epochs(3)), 10), is(40, 0, 10, 30));
  EXPECT_EQ(qat_schedule(settings_of(4, 0, steps(12), steps(39)), 10), is(40, 0, 12, 39));
  EXPECT_EQ(qat_schedule(settings_of(4, 1, 0.5, epochs(3)), 10), is(40, 10, 20, 30)) << "counted from the first step";
  EXPECT_EQ(qat_schedule(settings_of(4, 2, 0.0, epochs(1)), 10), is(40, 20, 21, 21))
      << "the first step with quantizers is never frozen";
  EXPECT_EQ(qat_schedule(settings_of(1, 0, 0.0, 0.0), 10), is(10, 0, 1, 1));
  EXPECT_EQ(qat_schedule(settings_of(4, 0, 1.0, epochs(4)), 10), is(40, 0, 40, 40)) << "after the last step";
  EXPECT_EQ(qat_schedule(settings_of(4, 0, steps(41), steps(1e15)), 10), is(40, 0, 40, 40));
  EXPECT_EQ(qat_schedule(settings_of(1, 0, 0.5, 0.8), 1), is(1, 0, 1, 1)) << "of one step alone";
}

/// QAT of the tiny model on 300 digits: 5 steps are an epoch.
class QatOfDigits : public testing::Test {
 protected:
  static constexpr std::int64_t kStepsPerEpoch = 5;

  explicit QatOfDigits() {
    data::DataSource digits = data::make_digits({.train = 300, .test = 10, .seed = 3});
    data_.train = digits.train;
    data_.test = digits.test;
  }
  Recipe recipe(std::vector<std::string> overrides) const {
    overrides.insert(overrides.begin(), "qat.epochs=4");
    return parse_recipe(kTiny, "tiny.toml", overrides);
  }
  QatRun run_of(const Recipe& recipe, const std::filesystem::path& checkpoint = {}) {
    return {recipe, kinds_, data_, {.train = recipe.train, .seed = 11, .checkpoint = checkpoint}, silent_};
  }
  static nn::Graph float_graph(const Recipe& recipe) {
    nn::Graph graph = build_model(recipe.model, {28, 28, 1}, 10);
    graph.initialize(11);
    return graph;
  }

  Reporter silent_;
  RunData data_;
  quant::Kinds kinds_ = quant::standard_kinds();
};

/// "B" where the batch norm, "O" where the observers are frozen.
std::string state_of(const nn::Graph& prepared) {
  auto& conv = dynamic_cast<quant::QatProduct&>(*prepared.node("conv1").module);
  std::string state = conv.batch_norm()->is_frozen() ? "B" : "";
  for (const nn::Graph::Node& node : prepared.nodes()) {
    if (auto* const quantized = dynamic_cast<quant::QuantizedOutput*>(node.module.get())) {
      EXPECT_EQ(quantized->output().is_frozen(), conv.output().is_frozen()) << node.name;
    }
  }
  return state + (conv.output().is_frozen() ? "O" : "");
}

TEST_F(QatOfDigits, FreezesEachAtItsStep) {
  const auto states = [&](const std::vector<std::string>& overrides) {
    const Recipe recipe = this->recipe(overrides);
    const QatRun run = run_of(recipe);
    nn::Graph prepared = quant::prepare_qat(float_graph(recipe), recipe.qconfig_mapping());
    TrainPhase phase = qat_phase(run, prepared);
    std::string changes;
    std::string last = "-";
    phase.before_step = [&, freeze = phase.before_step](std::int64_t step, std::int64_t all) {
      EXPECT_EQ(all, 4 * kStepsPerEpoch);
      freeze(step, all);
      if (const std::string state = state_of(prepared); state != last) {
        changes += std::to_string(step) + ":" + state + " ";
        last = state;
      }
    };
    train_phase(prepared, data_.train, run.options, phase, silent_);
    return changes + "end:" + state_of(prepared);
  };
  EXPECT_EQ(states({}), "0: 10:B 16:BO end:BO");
  EXPECT_EQ(states({"qat.freeze_batch_norm_at=\"1 epoch\"", "qat.freeze_observers_at=\"12 steps\""}),
            "0: 5:B 12:BO end:BO");
  EXPECT_EQ(states({"qat.start=2", "qat.freeze_batch_norm_at=0", "qat.freeze_observers_at=\"3 epochs\""}),
            "10: 11:B 15:BO end:BO");
  EXPECT_EQ(states({"qat.freeze_batch_norm_at=1", "qat.freeze_observers_at=\"1 epoch\""}), "0: 5:BO end:BO")
      << "frozen ranges take the statistics with them";
  EXPECT_EQ(states({"qat.freeze_batch_norm_at=1", "qat.freeze_observers_at=1"}), "0: end:");
}

TEST_F(QatOfDigits, EndsFrozenWhateverTheSchedule) {
  for (const char* const observers : {"0", "0.5", "1", "\"99 steps\""}) {
    const Recipe recipe =
        this->recipe({"qat.epochs=2", "qat.start=1", std::string("qat.freeze_observers_at=") + observers});
    EXPECT_EQ(state_of(train_qat(run_of(recipe), float_graph(recipe)).prepared), "BO") << observers;
  }
}

// Phases that are cut off in any epoch, before and after what freezes, go on to the same bytes.
TEST_F(QatOfDigits, ThatWasCutOffEndsWithTheSameBits) {
  class CutOff : public Reporter {
   public:
    explicit CutOff(std::int64_t epoch) : epoch_(epoch) {}
    void progress(const Progress& progress) override {
      is_time_ = progress.phase == "qat" && progress.epoch == epoch_ && progress.batch == 3;
    }
    bool should_stop() override { return is_time_; }

   private:
    std::int64_t epoch_;
    bool is_time_ = false;
  };
  const TempFolder folder;
  const Recipe recipe =
      this->recipe({"qat.start=1", "qat.freeze_batch_norm_at=\"2 epochs\"", "qat.freeze_observers_at=\"16 steps\""});
  const auto train = [&](nn::Graph& prepared, const std::string& file, Reporter& reporter, const Checkpoint* resume) {
    const QatRun run{recipe, kinds_, data_, {.train = recipe.train, .seed = 11, .checkpoint = folder / file}, reporter};
    TrainPhase phase = qat_phase(run, prepared);
    phase.resume = resume;
    train_phase(prepared, data_.train, run.options, phase, reporter);
  };
  const auto prepared = [&] { return quant::prepare_qat(float_graph(recipe), recipe.qconfig_mapping()); };
  nn::Graph whole = prepared();
  train(whole, "whole.h5", silent_, nullptr);
  for (const std::int64_t epoch : {3, 4}) {
    CutOff cut_off(epoch);
    nn::Graph first = prepared();
    EXPECT_THROW(train(first, "cut.h5", cut_off, nullptr), Interrupted);
    Checkpoint checkpoint = load_checkpoint(folder / "cut.h5");
    EXPECT_EQ(checkpoint.position.epoch, epoch - 1);
    train(checkpoint.graph, "resumed.h5", silent_, &checkpoint);
    EXPECT_TRUE(read_text(folder / "whole.h5") == read_text(folder / "resumed.h5")) << "cut off in epoch " << epoch;
  }
  nn::Graph early = prepared();
  Checkpoint checkpoint = load_checkpoint(folder / "whole.h5");
  checkpoint.position.epoch = 0;
  checkpoint.position.step = 0;
  EXPECT_THAT(error_of([&] { train(early, "refused.h5", silent_, &checkpoint); }),
              HasSubstr("epoch 0, step 0, seed 11, which this run does not pass through"));
}

// The epochs in float change no quantizer, leave the given graph as it is, and keep their place in the schedule.
TEST_F(QatOfDigits, BeginsInFloat) {
  const Recipe recipe = this->recipe({"qat.epochs=3", "qat.start=2", "train.schedule=constant"});
  const nn::Graph graph = float_graph(recipe);
  const TempFolder folder;
  nn::save_model({.graph = graph}, folder / "before.h5");
  class Phases : public Reporter {
   public:
    void progress(const Progress& progress) override {
      if (progress.batch == 1 && progress.loss) {
        seen += progress.phase + " " + std::to_string(progress.epoch) + " of " + std::to_string(progress.epochs) + "; ";
      }
    }
    std::string seen;
  };
  Phases phases;
  const QatRun run{recipe, kinds_, data_, {.train = recipe.train, .seed = 11}, phases};
  const QatTrained trained = train_qat(run, graph);
  EXPECT_EQ(phases.seen, "qat in float 1 of 3; qat in float 2 of 3; qat 3 of 3; ");
  EXPECT_EQ(trained.trained.steps, 3 * kStepsPerEpoch);
  nn::save_model({.graph = graph}, folder / "after.h5");
  EXPECT_TRUE(read_text(folder / "before.h5") == read_text(folder / "after.h5")) << "the float graph was trained";
  EXPECT_EQ(state_of(trained.prepared), "BO");
}

// Whole runs: the codes are those of training after any schedule, at any number of threads.
TEST(QatRuns, AreExactAfterAnySchedule) {
  const TempFolder folder;
  const std::vector<std::vector<std::string>> schedules{
      {"qat.epochs=3", "qat.start=1", "qat.freeze_batch_norm_at=\"2 epochs\"", "qat.freeze_observers_at=\"12 steps\""},
      {"qat.calibrate_first=true", "qat.freeze_observers_at=0"},
      {"qat.calibrate_first=true", "quantize.activations=\"uint8 histogram\"", "qat.freeze_observers_at=1"},
      {"qat.epochs=2", "qat.start=1", "qat.calibrate_first=true", "qat.freeze_batch_norm_at=1"}};
  for (std::vector<std::string> overrides : schedules) {
    SCOPED_TRACE(testing::PrintToString(overrides));
    overrides.emplace_back("quantize.compare_static=[]");
    const Metrics one = run_at(folder, "one", 1, overrides);
    run_at(folder, "three", 3, overrides);
    EXPECT_GT(one.int8->verify.codes_compared, 0);
    EXPECT_EQ(one.int8->verify.codes_mismatched, 0);
    EXPECT_EQ(one.int8->verify.predictions_changed, 0);
    for (const std::string file : {"fp32.h5", "qat.h5", "int8.h5"}) {
      EXPECT_TRUE(read_text(folder / "one" / file) == read_text(folder / "three" / file)) << file;
    }
  }
}

TEST(QatRuns, LearnFromTheFloatModel) {
  const TempFolder folder;
  const std::vector<std::string> plain{"quantize.compare_static=[]", "train.epochs=4"};
  std::vector<std::string> distilled = plain;
  distilled.insert(distilled.end(), {"qat.distill=0.7", "qat.temperature=2"});
  const Metrics without = run_at(folder, "without", 2, plain);
  const Metrics one = run_at(folder, "one", 1, distilled);
  run_at(folder, "three", 3, distilled);
  EXPECT_EQ(one.int8->verify.codes_mismatched, 0);
  for (const std::string file : {"fp32.h5", "qat.h5", "int8.h5"}) {
    EXPECT_TRUE(read_text(folder / "one" / file) == read_text(folder / "three" / file)) << file;
  }
  EXPECT_TRUE(read_text(folder / "one/fp32.h5") == read_text(folder / "without/fp32.h5"));
  EXPECT_FALSE(read_text(folder / "one/qat.h5") == read_text(folder / "without/qat.h5"));

  // From a model file, whose float model is not trained again, the same teacher teaches the same.
  Reporter silent;
  distilled = {"qat.distill=0.7",         "qat.temperature=2",
               "data.train_examples=300", "data.test_examples=100",
               "data.augment=affine",     "train.batch=64",
               "quantize.calibration=64", "model.file=" + (folder / "one/fp32.h5").string()};
  run(parse_recipe("", "tiny.toml", distilled), {.data = folder / "digits", .out = folder / "later"}, silent);
  distilled.back() = "model.file=" + (folder / "later/fp32.h5").string();
  run(parse_recipe("", "tiny.toml", distilled), {.data = folder / "digits", .out = folder / "again"}, silent);
  EXPECT_TRUE(read_text(folder / "later/qat.h5") == read_text(folder / "again/qat.h5"));
}

TEST(QatRuns, ReestimateBatchNormsAndTellWhatItGained) {
  const TempFolder folder;
  const std::vector<std::string> reestimate{"qat.reestimate_batch_norm=3", "quantize.compare_static=[]"};
  const Metrics without = run_at(folder, "without", 2, {"quantize.compare_static=[]"});
  const Metrics one = run_at(folder, "one", 1, reestimate);
  run_at(folder, "three", 3, reestimate);
  EXPECT_FALSE(without.qat->reestimation);
  ASSERT_TRUE(one.qat->reestimation);
  EXPECT_EQ(one.qat->reestimation->batches, 3);
  EXPECT_EQ(one.qat->reestimation->accuracy_before, without.qat->test_accuracy);
  EXPECT_EQ(one.qat->reestimation->accuracy_after, one.qat->test_accuracy);
  EXPECT_EQ(one.int8->test_accuracy, one.qat->test_accuracy);
  EXPECT_EQ(one.int8->verify.codes_mismatched, 0);
  EXPECT_THAT(report::to_text(one), HasSubstr("batch norms re-estimated on 3 batches: "));
  EXPECT_EQ(report::to_json(one)["qat"]["reestimation"]["batches"], 3);
  EXPECT_TRUE(report::to_json(without)["qat"]["reestimation"].is_null());
  EXPECT_FALSE(read_text(folder / "one/int8.h5") == read_text(folder / "without/int8.h5"));
  for (const std::string file : {"qat.h5", "int8.h5"}) {
    EXPECT_TRUE(read_text(folder / "one" / file) == read_text(folder / "three" / file)) << file;
  }
  const Metrics all = run_at(folder, "all", 2, {"qat.reestimate_batch_norm=1000", "quantize.compare_static=[]"});
  EXPECT_EQ(all.qat->reestimation->batches, 4) << "as many as there are: 300 examples in batches of 64";
}

TEST(QatRuns, WithoutBatchNormHaveNoneToReestimate) {
  const TempFolder folder;
  const std::string layers = "model.layers=[\"flatten\", \"linear 10\"]";
  EXPECT_EQ(error_of([&] {
              run_at(folder, "out", 1, {layers, "qat.reestimate_batch_norm=3"});
            }),
            "tiny: [qat] reestimate_batch_norm: the model has no batch norm; remove it");
  EXPECT_FALSE(std::filesystem::exists(folder / "out")) << "something was done before the check";
}

}  // namespace
}  // namespace detent::train::qat_test
