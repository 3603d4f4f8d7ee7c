#include "detent/train/losses/loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace detent::train::losses_test {
namespace {

using data::TargetKind;
using testing::ElementsAre;
using testing::HasSubstr;

data::Dataset dataset_of(TargetKind targets) {
  data::Dataset dataset{.name = "tiny train",
                        .examples = Tensor::zeros({6, 2}, DType::F32),
                        .labels = Tensor::from<float>({0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1}, {6, 2}),
                        .classes = 2,
                        .targets = targets};
  if (targets == TargetKind::kClasses) {
    dataset.labels = Tensor::from<std::int32_t>({0, 0, 0, 0, 1, 3}, {6});
    dataset.classes = 4;
  }
  return dataset;
}

TEST(Losses, AutoGoesByTheTargets) {
  const auto loss = [](TargetKind targets) { return settled_for({}, dataset_of(targets)).loss; };
  EXPECT_EQ(loss(TargetKind::kClasses), LossKind::CrossEntropy);
  EXPECT_EQ(loss(TargetKind::kValues), LossKind::MeanSquaredError);
  EXPECT_EQ(loss(TargetKind::kFlags), LossKind::BinaryCrossEntropy);
}

TEST(Losses, OfOtherTargetsAreRefused) {
  const auto error = [](LossKind loss, TargetKind targets) {
    return error_of([&] { settled_for({.loss = loss}, dataset_of(targets)); });
  };
  EXPECT_EQ(error(LossKind::CrossEntropy, TargetKind::kValues),
            "[train] loss: cross_entropy and squared_hinge are for classes, and the targets of tiny train are values; "
            "write loss = \"auto\"");
  EXPECT_THAT(error(LossKind::SquaredHinge, TargetKind::kFlags), HasSubstr("are flags; write loss = \"auto\""));
  EXPECT_THAT(error(LossKind::MeanSquaredError, TargetKind::kFlags),
              HasSubstr("write loss = \"binary_cross_entropy\""));
  EXPECT_THAT(error(LossKind::L1, TargetKind::kClasses), HasSubstr("l1 and huber are for values"));
  EXPECT_THAT(error(LossKind::Huber, TargetKind::kFlags), HasSubstr("l1 and huber are for values"));
  EXPECT_THAT(error(LossKind::BinaryCrossEntropy, TargetKind::kClasses), HasSubstr("is for flags"));
  EXPECT_EQ(error(LossKind::MeanSquaredError, TargetKind::kClasses), "no error");
}

TEST(Losses, BalancedWeightsComeFromTheExamples) {
  const TrainSettings balanced{.class_weights = {.is_balanced = true}};
  // Classes 4, 1, 0, 1 of 6 examples; flags set for 1 and 6 of 6.
  EXPECT_THAT(settled_for(balanced, dataset_of(TargetKind::kClasses)).class_weights.weights,
              ElementsAre(6.0 / (4 * 4), 1.5, 1.0, 1.5));
  EXPECT_THAT(settled_for(balanced, dataset_of(TargetKind::kFlags)).class_weights.weights, ElementsAre(5.0, 1.0));
}

TEST(Losses, WeightsThatDoNotFitAreRefused) {
  const auto error = [](const TrainSettings& train, TargetKind targets) {
    return error_of([&] { settled_for(train, dataset_of(targets)); });
  };
  EXPECT_EQ(error({.class_weights = {.weights = {1, 2}}}, TargetKind::kClasses),
            "[train] class_weights: expected one for each of 4 classes, got 2");
  EXPECT_THAT(error({.class_weights = {.weights = {1, 2}}}, TargetKind::kValues), HasSubstr("remove them"));
  EXPECT_THAT(error({.loss = LossKind::SquaredHinge, .class_weights = {.is_balanced = true}}, TargetKind::kClasses),
              HasSubstr("are for the losses cross_entropy and binary_cross_entropy"));
  EXPECT_THAT(error({.label_smoothing = 0.1}, TargetKind::kValues), HasSubstr("label_smoothing: is for the loss"));
}

TEST(Losses, AModelThatEndsWithItsLossIsRefused) {
  nn::Graph graph;
  auto x = graph.linear(graph.input({2}), {.out_features = 2, .name = "fc"});
  graph.output(graph.activation(x, kernels::Activation::Sigmoid, "squash"));
  EXPECT_EQ(error_of([&] { check_loss(graph, {.loss = LossKind::BinaryCrossEntropy}); }),
            "squash: the model ends with a sigmoid, and the loss binary_cross_entropy has one of its own; leave the "
            "model's out");
  EXPECT_EQ(error_of([&] { check_loss(graph, {.loss = LossKind::MeanSquaredError}); }), "no error");
}

}  // namespace
}  // namespace detent::train::losses_test
