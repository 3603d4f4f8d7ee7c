#include "detent/train/train.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/quant/passes/prepare.h"
#include "tests/train/tiny_run.h"

namespace detent::train::train_test {
namespace {

using namespace evaluation;
using namespace recipes;
using namespace report;

using testing::HasSubstr;

nn::Graph small_graph() {
  nn::Graph graph;
  auto x = graph.input({28, 28, 1});
  x = graph.conv2d(x, {.out_channels = 4, .kernel = 3, .stride = 2, .name = "conv"});
  x = graph.relu(x);
  graph.output(graph.linear(graph.flatten(x), {.out_features = 10, .name = "fc"}));
  graph.initialize(1);
  return graph;
}

data::Dataset digits(std::int64_t count) {
  return data::make_digits({.train = 64, .test = 10, .seed = 3}).train.take(count);
}

TrainOptions options_of(const TrainSettings& train, float std = 1.0F) {
  return {.train = train, .normalization = {.mean = 0.0F, .std = std}, .augment = {}, .seed = 1};
}

std::string error_of_training(nn::Graph graph, const TrainOptions& options, double learning_rate, std::int64_t count) {
  Reporter silent;
  const TrainPhase phase{.name = "float", .epochs = 1, .learning_rate = learning_rate};
  return error_of([&] { train_phase(graph, digits(count), options, phase, silent); });
}

// One step alone: no later loss tells of what it did. Codes would hide it in quantization-aware training.
TEST(Train, NumbersThatAreNotFiniteAfterTheLastStepAreAnError) {
  for (const OptimizerKind optimizer : {OptimizerKind::Sgd, OptimizerKind::Adam, OptimizerKind::AdamW}) {
    const TrainOptions options = options_of({.batch = 64, .optimizer = optimizer, .weight_decay = 0.1}, 1e-3F);
    for (const nn::Graph& graph : {small_graph(), quant::prepare_qat(small_graph(), quant::QConfigMapping())}) {
      EXPECT_THAT(error_of_training(graph, options, 3e38, 64),
                  testing::AllOf(HasSubstr("float training: epoch 1 of 1: the model: conv: weight: element "),
                                 HasSubstr("lower learning_rate")))
          << static_cast<int>(optimizer);
    }
  }
}

// Gradients near 1e20, whose squares overflow: the weights stay finite, and would never move again.
TEST(Train, AnOptimizerStateThatIsNotFiniteIsAnError) {
  nn::Graph graph = small_graph();
  const TrainOptions options = options_of({.batch = 64, .loss = LossKind::MeanSquaredError}, 1e-13F);
  EXPECT_THAT(error_of_training(graph, options, 1e-3, 64), HasSubstr("the optimizer: square/conv.weight: element "));
}

TEST(Train, APhaseWhoseEveryStepWasSkippedIsAnError) {
  TrainOptions options = options_of({.batch = 8, .loss = LossKind::MeanSquaredError, .precision = DType::F16}, 1e-3F);
  EXPECT_THAT(error_of_training(small_graph(), options, 1e-3, 8), HasSubstr("every step was skipped"));
  options.train.precision = DType::BF16;
  EXPECT_EQ(error_of_training(small_graph(), options, 1e-3, 8), "no error");
}

TEST(Train, ACheckpointThatCannotBeWrittenIsToldOnce) {
  class Messages : public Reporter {
   public:
    void message(const std::string& text) override { texts.push_back(text); }
    std::vector<std::string> texts;
  };
  const TempFolder folder;
  nn::Graph graph = small_graph();
  nn::Graph expected = small_graph();
  Messages messages;
  Reporter silent;
  const TrainPhase phase{.name = "float", .epochs = 3};
  TrainOptions options = options_of({.batch = 64});
  EXPECT_TRUE(train_phase(expected, digits(64), options, phase, silent).writes_checkpoints);
  options.checkpoint = folder / "missing/checkpoint.h5";
  EXPECT_FALSE(train_phase(graph, digits(64), options, phase, messages).writes_checkpoints);
  ASSERT_EQ(messages.texts.size(), 1U);
  EXPECT_THAT(messages.texts[0], HasSubstr("there is no folder"));
  const auto weights = [](nn::Graph& of) { return of.parameters()[0].parameter->value.data<float>(); };
  EXPECT_TRUE(std::ranges::equal(weights(graph), weights(expected))) << "training went another way";
}

// Stops the work from inside a step.
class Stopping : public nn::Module {
 public:
  std::string_view kind() const override { return "stopping"; }
  nlohmann::json options() const override { return nlohmann::json::object(); }
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  nn::Variable forward(nn::Context& context, std::span<const nn::Variable> inputs) override {
    return context.step == 2 ? throw Interrupted() : inputs[0];
  }
};

TEST(Train, AnInterruptInsideAStepStaysOne) {
  nn::Graph graph;
  auto x = graph.add(std::make_shared<Stopping>(), {graph.input({28, 28, 1})}, "stopping");
  graph.output(graph.linear(graph.flatten(x), {.out_features = 10, .name = "fc"}));
  graph.initialize(1);
  Reporter silent;
  const TrainPhase phase{.name = "float", .epochs = 1};
  EXPECT_THROW(train_phase(graph, digits(64), options_of({.batch = 16}), phase, silent), Interrupted);
}

}  // namespace
}  // namespace detent::train::train_test
