// Inference plans against Graph::forward: equal codes at every layer, whatever the batch and the number of threads.

#include "detent/quant/plan/plan.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "detent/core/threads/parallel.h"
#include "tests/quant/qat_fixture.h"

namespace detent {
namespace {

using test::random_images;

/// A few steps of training, so that ranges, weights and zero points are not trivial; then converted.
nn::Graph converted(nn::Graph net, std::uint64_t seed, const quant::QConfigMapping& mapping = quant::QConfigMapping(),
                    float low = -1.0F) {
  net.initialize(seed);
  nn::Graph qat = quant::prepare_qat(net, mapping);
  const std::int64_t classes = net.output_shape().elements();
  for (std::uint64_t step = 0; step < 3; ++step) {
    test::train_step(qat, random_images(net.input_shape(), 8, seed * 10 + step, low),
                     test::random_labels(8, classes, seed * 10 + step), 0.05F, step);
  }
  quant::freeze_observers(qat);
  return quant::convert(qat).graph;
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

Tensor run_plan(const nn::Graph& graph, const Tensor& images, int threads = 2) {
  ThreadPool pool(threads);
  Tensor y;
  pool.run([&] {
    quant::InferencePlan plan(graph, images.shape()[0]);
    plan.run(random_images(graph.input_shape(), images.shape()[0], 99));  // what an earlier run left must not matter
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

/// Every value of the graph in turn as the result, and the whole.
void expect_equal_layers(nn::Graph graph, std::int64_t batch, std::uint64_t seed) {
  const Tensor images = random_images(graph.input_shape(), batch, seed, -1.2F, 1.1F);
  std::vector<Tensor> expected;
  const Tensor whole =
      test::infer(graph, images, [&](const nn::Graph::Node&, const nn::Variable& y) { expected.push_back(y.value()); });
  expect_same(run_plan(graph, images), whole, "seed " + std::to_string(seed) + ", whole");
  for (std::size_t i = 1; i < expected.size(); ++i) {
    if (graph.nodes()[i].module->kind() == "flatten") {
      continue;
    }
    graph.output({i});
    expect_same(run_plan(graph, images), expected[i],
                "seed " + std::to_string(seed) + ", batch " + std::to_string(batch) + ", " + graph.nodes()[i].name);
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
  expect_equal_layers(converted(test::everything_net(), seed, mapping), batches[seed % 4], seed);
  expect_equal_layers(converted(odd_net(), seed, mapping), batches[(seed + 1) % 4], seed);
  expect_equal_layers(converted(test::plain_net(), seed, mapping), batches[(seed + 2) % 4], seed);
  expect_equal_layers(converted(mnist_mlp(), seed, mapping), batches[(seed + 3) % 4], seed);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Plan, testing::Range(0, 8));

TEST(InferencePlan, GivesTheCodesOfMnistCnn) {
  for (const std::uint64_t seed : {1U, 2U}) {
    const nn::Graph graph = converted(mnist_cnn(), seed);
    expect_equal_layers(graph, 1, seed);
    expect_equal_layers(graph, 33, seed);
  }
}

TEST(InferencePlan, ResultsDoNotDependOnThreads) {
  nn::Graph net = mnist_cnn();
  net.initialize(4);
  for (const nn::Graph& graph : {converted(mnist_cnn(), 4), net}) {
    for (const std::int64_t batch : {1, 40}) {
      const Tensor images = random_images({28, 28, 1}, batch, 3);
      const Tensor one = run_plan(graph, images, 1);
      for (const int threads : {2, 3}) {
        expect_same(run_plan(graph, images, threads), one, std::to_string(threads) + " threads");
      }
    }
  }
}

TEST(InferencePlan, ComputesFloatGraphs) {
  for (nn::Graph net : {mnist_cnn(), mnist_mlp(), test::everything_net()}) {
    net.initialize(6);
    for (const std::int64_t batch : {1, 5, 70}) {
      const Tensor images = random_images(net.input_shape(), batch, 8);
      const Tensor expected = test::infer(net, images);
      const Tensor actual = run_plan(net, images);
      ASSERT_EQ(actual.shape(), expected.shape());
      for (std::size_t i = 0; i < static_cast<std::size_t>(actual.elements()); ++i) {
        ASSERT_NEAR(actual.data<float>()[i], expected.data<float>()[i], 1e-5F)
            << "batch " << batch << ", element " << i;
      }
    }
  }
}

TEST(InferencePlan, PixelsAreTheRealsTheyMean) {
  nn::Graph net = mnist_mlp();
  net.initialize(2);
  for (const nn::Graph& graph :
       {converted(mnist_mlp(), 2), converted(mnist_mlp(), 2, quant::QConfigMapping(), 0.0F), net}) {
    Tensor pixels = Tensor::empty({9, 28, 28, 1}, DType::U8);
    Tensor reals = Tensor::empty({9, 28, 28, 1}, DType::F32);
    RandomStream random(1, "pixels");
    for (std::size_t i = 0; i < 9 * 784; ++i) {
      pixels.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(random.index(256));
      reals.data<float>()[i] = static_cast<float>(pixels.data<std::uint8_t>()[i]) / 255.0F;
    }
    quant::InferencePlan plan(graph, 9);
    const Tensor expected = plan.run(reals).clone();
    expect_same(plan.run_pixels(pixels), expected, "pixels");
    expect_same(plan.run(reals), expected, "reals again");
  }
}

/// Does something else in its forward pass.
class Meanwhile : public nn::Module {
 public:
  std::string_view kind() const override { return "meanwhile"; }
  nlohmann::json options() const override { return nlohmann::json::object(); }
  Shape output_shape(std::span<const Shape> inputs) const override { return inputs[0]; }
  nn::Variable forward(nn::Context&, std::span<const nn::Variable> inputs) override {
    if (action) {
      action();
    }
    return inputs[0];
  }
  std::function<void()> action;
};

TEST(InferencePlan, RefusesASecondThreadWhileItRuns) {
  const auto meanwhile = std::make_shared<Meanwhile>();
  nn::Graph net;
  net.output(net.linear(net.add(meanwhile, {net.input({6})}, "meanwhile"), {.out_features = 3, .name = "fc"}));
  net.initialize(5);
  const Tensor images = random_images({6}, 4, 1);
  const Tensor pixels = Tensor::zeros({4, 6}, DType::U8);
  quant::InferencePlan plan(net, 4);
  const Tensor expected = plan.run(images).clone();
  std::string of_run, of_pixels;
  meanwhile->action = [&] {
    std::thread([&] {
      of_run = error_of([&] { plan.run(images); });
      of_pixels = error_of([&] { plan.run_pixels(pixels); });
    }).join();
  };
  expect_same(plan.run(images), expected, "the first thread's result");
  EXPECT_NE(of_run.find("plan: it is run by two threads at once"), std::string::npos) << of_run;
  EXPECT_EQ(of_pixels, of_run);
  meanwhile->action = [] { fail("a module failed"); };
  EXPECT_EQ(error_of([&] { plan.run(images); }), "a module failed");
  meanwhile->action = {};
  expect_same(plan.run(images), expected, "after a failure");
}

TEST(InferencePlan, RefusesWhatItCannotRun) {
  nn::Graph net = test::plain_net();
  net.initialize(1);
  EXPECT_THROW(quant::InferencePlan(quant::prepare_qat(net, quant::QConfigMapping()), 4), Error);
  const nn::Graph graph = converted(net, 1);
  EXPECT_THROW(quant::InferencePlan(graph, 0), Error);
  quant::InferencePlan plan(graph, 4);
  EXPECT_TRUE(plan.is_integer());
  EXPECT_GT(plan.memory_bytes(), 0U);
  EXPECT_THROW(plan.run(random_images({8, 8, 1}, 3, 1)), Error) << "another batch";
  EXPECT_THROW(plan.run_pixels(random_images({8, 8, 1}, 4, 1)), Error) << "reals as pixels";
  EXPECT_EQ(plan.run(random_images({8, 8, 1}, 4, 1)).shape(), Shape({4, 3}));
}

}  // namespace
}  // namespace detent
