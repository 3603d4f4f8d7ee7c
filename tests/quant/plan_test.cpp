// Plans of converted models against the prepared graph: equal codes at every layer, whatever is fused, the batch and
// the number of threads; and of float graphs, lowered.

#include "detent/runtime/plan.h"

#include <gtest/gtest.h>

#include <cstring>

#include "detent/core/threads/parallel.h"
#include "detent/quant/passes/lower.h"
#include "tests/quant/qat_fixture.h"

namespace detent::plan_test {
namespace {

using test::random_images;

/// A few steps of training, so that ranges, weights and zero points are not trivial; then frozen.
nn::Graph trained(nn::Graph net, std::uint64_t seed, const quant::QConfigMapping& mapping = quant::QConfigMapping(),
                  float low = -1.0F) {
  net.initialize(seed);
  nn::Graph qat = quant::prepare_qat(net, mapping);
  const std::int64_t classes = net.output_shape().elements();
  for (std::uint64_t step = 0; step < 3; ++step) {
    test::train_step(qat, random_images(net.input_shape(), 8, seed * 10 + step, low),
                     test::random_labels(8, classes, seed * 10 + step), 0.05F, step);
  }
  quant::freeze_observers(qat);
  return qat;
}

runtime::Model converted(nn::Graph net, std::uint64_t seed) {
  return quant::convert(trained(std::move(net), seed)).model;
}

nn::Graph mnist_cnn() {
  nn::Graph net;
  auto x = net.input({28, 28, 1});
  x = net.relu(net.conv2d(x, {.out_channels = 32, .kernel = 3, .name = "conv1"}));
  x = net.relu(net.conv2d(x, {.out_channels = 64, .kernel = 3, .name = "conv2"}));
  x = net.flatten(net.max_pool(x, {.kernel = 2, .name = "pool"}));
  x = net.relu(net.linear(x, {.out_features = 128, .name = "fc1"}));
  net.output(net.linear(x, {.out_features = 10, .name = "fc2"}));
  return net;
}

nn::Graph mnist_mlp() {
  nn::Graph net;
  auto x = net.flatten(net.input({28, 28, 1}));
  x = net.relu(net.linear(x, {.out_features = 256, .name = "fc1"}));
  x = net.relu(net.linear(x, {.out_features = 256, .name = "fc2"}));
  net.output(net.linear(x, {.out_features = 10, .name = "fc3"}));
  return net;
}

/// Odd sizes; padding, strides and groups; a pool that does not fuse, since the convolution is read twice, and one of
/// 3 x 3; a sum of both.
nn::Graph odd_net() {
  nn::Graph net;
  auto x = net.input({13, 17, 3});
  x = net.relu(net.conv2d(x, {.out_channels = 18, .kernel = 5, .stride = 2, .padding = 2, .name = "strided"}));
  auto a = net.conv2d(x, {.out_channels = 18, .kernel = 3, .padding = 1, .groups = 3, .name = "grouped"});
  a = net.relu(net.add(x, a, "residual"));
  auto b = net.conv2d(a, {.out_channels = 21, .kernel = 3, .padding = 1, .dilation = 1, .name = "read_twice"});
  auto pooled = net.max_pool(b, {.kernel = 2, .name = "pool2"});
  auto other = net.max_pool(b, {.kernel = 3, .stride = 2, .padding = 1, .name = "pool3"});
  other = net.conv2d(other, {.out_channels = 21, .kernel = 2, .name = "shrink"});
  pooled = net.conv2d(pooled, {.out_channels = 21, .kernel = 1, .name = "pointwise"});
  x = net.conv2d(net.add(pooled, other, "sum"), {.out_channels = 7, .kernel = 1, .padding = 1, .name = "last"});
  net.output(net.linear(net.global_avg_pool(x), {.out_features = 5, .name = "fc"}));
  return net;
}

Tensor run_plan(const runtime::Model& model, const Tensor& images, int threads = 2) {
  ThreadPool pool(threads);
  Tensor y;
  pool.run([&] {
    runtime::Plan plan(model, images.shape()[0]);
    plan.run(random_images(images.shape().row(), images.shape()[0], 99));  // what an earlier run left must not matter
    y = plan.run(images).clone();
  });
  return y;
}

void expect_same(const Tensor& actual, const Tensor& expected, const std::string& what) {
  ASSERT_EQ(actual.shape(), expected.shape()) << what;
  ASSERT_EQ(actual.dtype(), expected.dtype()) << what;
  const std::size_t element = size_of(expected.dtype());
  for (std::size_t i = 0; i < static_cast<std::size_t>(expected.elements()); ++i) {
    const int difference = std::memcmp(actual.raw() + i * element, expected.raw() + i * element, element);
    ASSERT_EQ(difference, 0) << what << ": element " << i << " of " << expected.shape()
                             << (element == 1 ? ": expected code " : "")
                             << (element == 1 ? std::to_integer<int>(expected.raw()[i]) : 0) << ", got "
                             << (element == 1 ? std::to_integer<int>(actual.raw()[i]) : 0);
  }
}

/// Every value of the model in turn as the result, and the whole.
void expect_equal_layers(nn::Graph prepared, std::int64_t batch, std::uint64_t seed) {
  runtime::Model model = quant::convert(prepared).model;
  const Tensor images = random_images(prepared.input_shape(), batch, seed, -1.2F, 1.1F);
  std::map<std::string, Tensor> expected;
  const Tensor whole = test::infer(
      prepared, images, [&](const nn::Graph::Node& node, const nn::Variable& y) { expected[node.name] = y.value(); });
  expect_same(run_plan(model, images), whole, "seed " + std::to_string(seed) + ", whole");
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    model.output = model.value_of(i);
    expect_same(run_plan(model, images), expected.at(model.nodes[i].name),
                "seed " + std::to_string(seed) + ", batch " + std::to_string(batch) + ", " + model.nodes[i].name);
  }
}

class Plan : public testing::TestWithParam<int> {};

TEST_P(Plan, GivesTheCodesOfTheGraphAtEveryLayer) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  quant::QConfig config;
  if (seed % 3 == 1) {
    config.weight.granularity = quant::PerTensor{};
  }
  if (seed % 3 == 2) {
    config.weight.grid.bits = 4;
    config.activation.grid.bits = 5;
  }
  const quant::QConfigMapping mapping(config);
  const std::int64_t batches[] = {1, 3, 8, 37};
  expect_equal_layers(trained(test::everything_net(), seed, mapping), batches[seed % 4], seed);
  expect_equal_layers(trained(odd_net(), seed, mapping), batches[(seed + 1) % 4], seed);
  expect_equal_layers(trained(test::plain_net(), seed, mapping), batches[(seed + 2) % 4], seed);
  expect_equal_layers(trained(mnist_mlp(), seed, mapping), batches[(seed + 3) % 4], seed);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Plan, testing::Range(0, 8));

TEST(ShippedPlan, GivesTheCodesOfMnistCnn) {
  for (const std::uint64_t seed : {1U, 2U}) {
    const nn::Graph prepared = trained(mnist_cnn(), seed);
    expect_equal_layers(prepared, 1, seed);
    expect_equal_layers(prepared, 33, seed);
  }
}

TEST(ShippedPlan, ResultsDoNotDependOnThreads) {
  nn::Graph net = mnist_cnn();
  net.initialize(4);
  for (const runtime::Model& model : {converted(mnist_cnn(), 4), quant::lower(net)}) {
    for (const std::int64_t batch : {1, 40}) {
      const Tensor images = random_images({28, 28, 1}, batch, 3);
      const Tensor one = run_plan(model, images, 1);
      for (const int threads : {2, 3}) {
        expect_same(run_plan(model, images, threads), one, std::to_string(threads) + " threads");
      }
    }
  }
}

TEST(ShippedPlan, PixelsAreTheRealsTheyMean) {
  nn::Graph net = mnist_mlp();
  net.initialize(2);
  for (const runtime::Model& model :
       {converted(mnist_mlp(), 2), quant::convert(trained(mnist_mlp(), 2, quant::QConfigMapping(), 0.0F)).model,
        quant::lower(net)}) {
    Tensor pixels = Tensor::empty({9, 28, 28, 1}, DType::U8);
    Tensor reals = Tensor::empty({9, 28, 28, 1}, DType::F32);
    RandomStream random(1, "pixels");
    for (std::size_t i = 0; i < 9 * 784; ++i) {
      pixels.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(random.index(256));
      reals.data<float>()[i] = static_cast<float>(pixels.data<std::uint8_t>()[i]) / 255.0F;
    }
    runtime::Plan plan(model, 9);
    const Tensor expected = plan.run(reals).clone();
    expect_same(plan.run_pixels(pixels), expected, "pixels");
    expect_same(plan.run(reals), expected, "reals again");
  }
}

}  // namespace
}  // namespace detent::plan_test
