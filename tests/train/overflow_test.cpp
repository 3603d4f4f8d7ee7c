#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "detent/train/step.h"

namespace detent::train::overflow_test {
namespace {

using namespace evaluation;

std::string message_of(DType precision, float pixel) {
  nn::Graph graph;
  graph.output(graph.linear(graph.input({4}), {.out_features = 3, .name = "fc"}));
  graph.initialize(1);
  TrainSettings settings;
  settings.precision = precision;
  TrainStep step(graph, settings, 1);
  Tensor images = Tensor::empty({2, 4}, DType::F32);
  std::ranges::fill(images.data<float>(), pixel);
  try {
    step.run(images, Tensor::zeros({2}, DType::S32), 0.01, 0);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// In f16 neither clip_norm nor a loss scale mends what has overflowed before the loss.
TEST(Overflow, OfF16IsToldAsSuch) {
  EXPECT_EQ(message_of(DType::F16, 65000.0F), "no error");
  EXPECT_EQ(message_of(DType::F16, 70000.0F),
            "the loss is not finite; most likely a value of the forward pass is above 65504, fp16's largest: set "
            "[train] precision = \"bf16\", or lower learning_rate");
  EXPECT_EQ(message_of(DType::F32, 70000.0F), "no error");
  EXPECT_EQ(message_of(DType::BF16, 70000.0F), "no error");
  EXPECT_EQ(message_of(DType::F32, std::numeric_limits<float>::infinity()),
            "the loss is not finite; lower learning_rate, or set clip_norm");
}

}  // namespace
}  // namespace detent::train::overflow_test
