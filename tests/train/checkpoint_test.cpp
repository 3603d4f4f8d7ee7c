#include "detent/train/checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "detent/nn/fuse_relu.h"
#include "detent/nn/model_file.h"
#include "detent/quant/passes/prepare.h"
#include "detent/recipes/model_builder.h"
#include "detent/train/train.h"
#include "tests/train/tiny_run.h"

namespace detent::train::checkpoint_test {
namespace {

using namespace evaluation;
using namespace recipes;
using namespace report;

constexpr std::int64_t kEpochs = 4;
constexpr std::int64_t kCutEpoch = 3;  // the run is cut off in this one

// What is trained, and how.
struct Case {
  std::string name;
  std::vector<std::string> overrides;
  bool is_qat = false;
  std::int64_t freeze_at = 0;  // step; 5 steps are an epoch, with batches of 64
  friend void PrintTo(const Case& row, std::ostream* out) { *out << row.name; }
};

// Asks for the end in the middle of the epoch `epoch`.
class CutOff : public Reporter {
 public:
  explicit CutOff(std::int64_t epoch) : epoch_(epoch) {}
  void progress(const Progress& progress) override { is_time_ = progress.epoch == epoch_ && progress.batch == 2; }
  bool should_stop() override { return is_time_; }

 private:
  std::int64_t epoch_;
  bool is_time_ = false;
};

TrainResult train_case(const Case& how, nn::Graph& graph, const std::filesystem::path& file, Reporter& reporter,
                       const Checkpoint* resume) {
  const Recipe recipe = parse_recipe(kTiny, "tiny.toml", how.overrides);
  const data::Dataset digits = data::make_digits({.train = 300, .test = 10, .seed = 3}).train;
  const TrainPhase phase{.name = how.is_qat ? "qat" : "float",
                         .epochs = kEpochs,
                         .learning_rate = 2e-3,
                         .before_step =
                             [&](std::int64_t step, std::int64_t) {
                               if (how.is_qat && step == how.freeze_at) {
                                 quant::freeze_observers(graph);
                               }
                             },
                         .resume = resume};
  TrainOptions options;
  options.train = recipe.train;
  options.augment = recipe.data.augment;
  options.seed = 11;
  options.checkpoint = file;
  return train_phase(graph, digits, options, phase, reporter);
}

nn::Graph new_graph(const Case& how) {
  const Recipe recipe = parse_recipe(kTiny, "tiny.toml", how.overrides);
  nn::Graph graph = build_model(recipe.model, {28, 28, 1}, 10);
  graph.initialize(11);
  return how.is_qat ? quant::prepare_qat(graph, recipe.qconfig_mapping()) : nn::fuse_relu(graph);
}

class Checkpoints : public testing::TestWithParam<Case> {};

// The checkpoint at the end holds weights, statistics, ranges, optimizer and scaler: all that training could differ in.
TEST_P(Checkpoints, ARunThatWasCutOffEndsWithTheSameBits) {
  const Case& how = GetParam();
  const TempFolder folder;
  Reporter silent;
  nn::Graph whole = new_graph(how);
  const TrainResult expected = train_case(how, whole, folder / "whole.h5", silent, nullptr);

  CutOff cut_off(kCutEpoch);
  nn::Graph first = new_graph(how);
  EXPECT_THROW(train_case(how, first, folder / "cut.h5", cut_off, nullptr), Interrupted);
  Checkpoint checkpoint = load_checkpoint(folder / "cut.h5");
  EXPECT_EQ(checkpoint.position.epoch, kCutEpoch - 1);
  EXPECT_EQ(checkpoint.position.seed, 11U);
  const TrainResult resumed = train_case(how, checkpoint.graph, folder / "resumed.h5", silent, &checkpoint);

  EXPECT_EQ(resumed.scaler, expected.scaler);
  EXPECT_TRUE(read_text(folder / "whole.h5") == read_text(folder / "resumed.h5"));
  EXPECT_FALSE(read_text(folder / "whole.h5") == read_text(folder / "cut.h5"));
}

INSTANTIATE_TEST_SUITE_P(
    Train, Checkpoints,
    testing::Values(Case{"adam", {}}, Case{"sgd", {"train.optimizer=sgd", "train.nesterov=true"}},
                    Case{"fp16", {"train.precision=fp16", "train.clip_norm=1"}},
                    Case{"qat_frozen_before", {"train.optimizer=adamw", "train.weight_decay=1e-2"}, true, 7},
                    Case{"qat_frozen_after", {"train.precision=fp16"}, true, 17},
                    Case{"qat_windows_of_several_batches", {"train.batch=14"}, true, 80},
                    Case{"qat_lsq", {"quantize.weights=\"int4 lsq\"", "quantize.activations=\"uint4 lsq\""}, true, 17},
                    Case{"qat_bf16", {"train.precision=bf16", "quantize.keep_float=[\"fc1\"]"}, true, 12}),
    [](const auto& test) { return test.param.name; });

TEST(Checkpoint, OtherRunsAreRefused) {
  const Case how{"adam", {}};
  const TempFolder folder;
  Reporter silent;
  nn::Graph graph = new_graph(how);
  train_case(how, graph, folder / "checkpoint.h5", silent, nullptr);
  Checkpoint checkpoint = load_checkpoint(folder / "checkpoint.h5");
  const auto message_of = [&](const Case& other) {
    try {
      train_case(other, checkpoint.graph, folder / "other.h5", silent, &checkpoint);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message_of({"fp16", {"train.precision=fp16"}}),
            "training: expected the state of a run with loss scaling; set [train] precision as that run had it");
  checkpoint.position.seed = 12;
  EXPECT_EQ(message_of(how),
            "float training: the checkpoint is of float training, epoch 4, step 20, seed 12, which this run does not "
            "pass through");

  nn::save_model({.graph = graph}, folder / "model.h5");
  EXPECT_THROW(load_checkpoint(folder / "model.h5"), Error);
}

}  // namespace
}  // namespace detent::train::checkpoint_test
