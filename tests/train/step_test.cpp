#include "detent/train/step.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "detent/quant/passes/lower.h"
#include "detent/quant/passes/prepare.h"
#include "detent/recipes/bench/bench_work.h"
#include "detent/report/profile_table.h"
#include "tests/error_of.h"

namespace detent::train::step_test {
namespace {

using namespace evaluation;
using namespace recipes;
using namespace report;

nn::Graph small_graph() {
  nn::Graph graph;
  auto x = graph.input({6, 6, 1});
  x = graph.conv2d(x, {.out_channels = 4, .kernel = 3, .name = "conv"});
  x = graph.relu(x);
  graph.output(graph.linear(graph.flatten(x), {.out_features = 3, .name = "fc"}));
  graph.initialize(1);
  return graph;
}

// Cross-entropy of probabilities would learn badly and say nothing.
TEST(TrainStep, RefusesASoftmaxUnderCrossEntropy) {
  nn::Graph graph = small_graph();
  graph.output(graph.softmax(*graph.find("fc"), "probabilities"));
  const TrainSettings of_logits{.loss = LossKind::CrossEntropy}, of_values{.loss = LossKind::MeanSquaredError};
  const std::string expected =
      "probabilities: the model ends with a softmax, and the loss cross_entropy has one of its own; leave the model's "
      "out, predictions are the same, or set [train] loss = \"mse\"";
  EXPECT_EQ(error_of([&] { TrainStep(graph, of_logits, 1); }), expected);
  nn::Graph qat = quant::prepare_qat(graph, quant::QConfigMapping());
  EXPECT_EQ(error_of([&] { TrainStep(qat, of_logits, 1); }), expected) << "which gives reals of codes";
  const Tensor images = random_images(8, {6, 6, 1});
  const Tensor labels = random_labels(8, 3);
  for (nn::Graph* const of_probabilities : {&graph, &qat}) {
    TrainStep step(*of_probabilities, of_values, 1);
    const double first = step.run(images, labels, 0.02, 0).loss;
    double last = first;
    for (std::uint64_t number = 1; number < 20; ++number) {
      last = step.run(images, labels, 0.02, number).loss;
    }
    EXPECT_LT(last, 0.7 * first);
  }
  nn::Graph within = small_graph();
  within.output(within.linear(within.softmax(*within.find("fc")), {.out_features = 3}));
  within.initialize(1);
  EXPECT_NO_THROW(TrainStep(within, of_logits, 1)) << "a softmax in the middle";
}

std::vector<float> weights_of(nn::Graph& graph) {
  std::vector<float> all;
  for (const nn::NamedParameter& named : graph.parameters()) {
    const std::span<const float> values = named.parameter->value.data<float>();
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

TEST(TrainStep, LearnsFromATeacherBesideTheLabels) {
  const Tensor images = random_images(8, {6, 6, 1});
  const Tensor labels = random_labels(8, 3);
  nn::Graph taught_by = small_graph();
  taught_by.initialize(2);
  const runtime::Model model = quant::lower(taught_by);
  const auto loss_of = [&](double share, double temperature) {
    nn::Graph graph = small_graph();
    TrainStep step(graph, {}, 1);
    Teacher teacher(model, share, temperature);
    step.set_teacher(&teacher);
    return step.run(images, labels, 0.01, 0).loss;
  };
  nn::Graph alone = small_graph();
  const double of_labels = TrainStep(alone, {}, 1).run(images, labels, 0.01, 0).loss;
  const double of_teacher = loss_of(1.0, 3.0);
  EXPECT_EQ(loss_of(0.0, 3.0), of_labels);
  EXPECT_GT(of_teacher, 0.0);
  EXPECT_NE(of_teacher, of_labels);
  EXPECT_NE(of_teacher, loss_of(1.0, 1.0));
  EXPECT_NEAR(loss_of(0.3, 3.0), 0.7 * of_labels + 0.3 * of_teacher, 1e-6);

  // From its teacher alone a model comes to say what the teacher says, whatever the labels; batches of two sizes.
  nn::Graph pupil = small_graph();
  TrainStep step(pupil, {}, 1);
  Teacher teacher(model, 1.0, 2.0);
  step.set_teacher(&teacher);
  const double first = step.run(images, labels, 0.02, 0).loss;
  for (std::uint64_t number = 1; number < 60; ++number) {
    step.run(number % 2 == 0 ? images : images.rows(0, 5), number % 2 == 0 ? labels : labels.rows(0, 5), 0.02, number);
  }
  EXPECT_LT(step.run(images, labels, 0.02, 60).loss, 0.05 * first);
}

TEST(TrainStep, ATeacherOfItsOwnOpinionTeachesNothing) {
  const Tensor images = random_images(8, {6, 6, 1});
  const Tensor labels = random_labels(8, 3);
  nn::Graph graph = small_graph();
  Teacher itself(quant::lower(graph), 1.0, 4.0);
  const std::vector<float> before = weights_of(graph);
  TrainStep step(graph, {.optimizer = OptimizerKind::Sgd}, 1);
  step.set_teacher(&itself);
  EXPECT_NEAR(step.run(images, labels, 0.1, 0).loss, 0.0, 1e-9);
  const std::vector<float> after = weights_of(graph);
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_NEAR(after[i], before[i], 1e-6) << i;
  }
}

// Measuring changes nothing, and what the rows say they save is what the step says it saves.
TEST(TrainStep, AProfilerSeesAllAndChangesNothing) {
  const Tensor images = random_images(8, {6, 6, 1});
  const Tensor labels = random_labels(8, 3);
  nn::Graph plain = small_graph();
  nn::Graph measured = small_graph();
  TrainStep plain_step(plain, {}, 1);
  TrainStep measured_step(measured, {}, 1);
  Profiler profiler;
  measured_step.set_profiler(&profiler);
  for (std::uint64_t number = 0; number < 3; ++number) {
    const TrainStep::Result expected = plain_step.run(images, labels, 0.01, number);
    const TrainStep::Result actual = measured_step.run(images, labels, 0.01, number);
    EXPECT_EQ(actual.loss, expected.loss) << "step " << number;
    EXPECT_EQ(actual.saved_bytes, expected.saved_bytes) << "step " << number;
    std::int64_t saved = 0;
    for (const Profiler::Row& row : profiler.rows()) {
      saved += row.saved_bytes;
    }
    EXPECT_EQ(static_cast<std::size_t>(saved), actual.saved_bytes) << "step " << number;
  }
  EXPECT_EQ(plain_step.arena().bytes_in_use(), 0U);
  EXPECT_EQ(measured_step.arena().bytes_in_use(), 0U);

  const std::string table = profile_table(profiler, 3);
  double share = 0.0;
  std::vector<std::string> modules;
  for (const nlohmann::json& row : profile_json(profiler, 3)) {
    modules.push_back(row["module"]);
    share += row["share"].get<double>();
    EXPECT_THAT(table, testing::HasSubstr("\n" + modules.back() + " "));
  }
  EXPECT_NEAR(share, 1.0, 1e-12);
  EXPECT_THAT(modules, testing::ElementsAre("conv", "relu1", "flatten1", "fc", "loss", "optimizer"));
}

TEST(TrainStep, ALossThatIsNotFiniteChangesNoWeight) {
  nn::Graph graph = small_graph();
  Tensor images = random_images(2, {6, 6, 1});
  images.data<float>()[0] = std::numeric_limits<float>::infinity();
  TrainStep step(graph, {}, 1);
  const Tensor before = graph.parameters()[0].parameter->value.clone();
  EXPECT_THROW(step.run(images, random_labels(2, 3), 0.01, 0), Error);
  EXPECT_TRUE(std::ranges::equal(before.data<float>(), graph.parameters()[0].parameter->value.data<float>()));
}

}  // namespace
}  // namespace detent::train::step_test
