#include "detent/quant/methods/adaround.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "detent/core/threads/parallel.h"
#include "detent/quant/kinds/product/integer_product.h"
#include "tests/quant/qat_fixture.h"

namespace detent::adaround_test {
namespace {

using testing::HasSubstr;

/// Images whose pixels and channels go together, as those of real layers do.
Tensor correlated_images(const Shape& example, std::int64_t count, std::uint64_t seed) {
  Tensor images = test::random_images(example, count, seed, -0.2F, 0.2F);
  RandomStream random(seed, "brightness");
  const auto row = static_cast<std::size_t>(example.elements());
  const std::span<float> values = images.data<float>();
  for (std::size_t i = 0; i < values.size(); i += row) {
    const float brightness = random.uniform(0.0F, 1.0F);
    for (std::size_t k = 0; k < row; ++k) {
      values[i + k] += brightness;
    }
  }
  return images;
}

quant::RunTapped run_on(const Tensor& images) {
  return [images](nn::Graph& graph, const nn::Graph::Tap& tap) { test::infer(graph, images, tap); };
}

const Tensor& weight_of(const nn::Graph& graph, std::string_view name) {
  return *graph.node(name).module->slots()[0].tensor;
}

quant::QConfigMapping weights_as(const std::string& text) {
  quant::QConfig config;
  config.weight = quant::parse_weight_quantizer(text);
  return quant::QConfigMapping(config);
}

/// `graph` with the weights of its layers at the nearest points of their grids.
nn::Graph rounded_to_nearest(const nn::Graph& graph, const std::string& text) {
  nn::Graph result = graph.clone();
  for (const nn::Graph::Node& node : result.nodes()) {
    if (node.owns_module() && (node.module->kind() == "conv2d" || node.module->kind() == "linear")) {
      Tensor& weight = *node.module->slots()[0].tensor;
      const quant::QuantizedWeight codes =
          quant::quantize_weight(weight, {}, 1.0F, quant::parse_weight_quantizer(text));
      const Tensor numbers = quant::numbers_of(codes, DType::F32, nullptr);
      const auto row = static_cast<std::size_t>(weight.shape().row_elements());
      for (std::size_t i = 0; i < weight.data<float>().size(); ++i) {
        weight.data<float>()[i] = numbers.data<float>()[i] * codes.qparams.scale_of(i / row);
      }
    }
  }
  return result;
}

double squared_distance(const Tensor& a, const Tensor& b) {
  double sum = 0.0;
  for (std::size_t i = 0; i < a.data<float>().size(); ++i) {
    sum += std::pow(double{a.data<float>()[i]} - double{b.data<float>()[i]}, 2);
  }
  return sum;
}

nn::Graph small_net() {
  nn::Graph net;
  auto x = net.input({7, 6, 2});
  x = net.relu(net.conv2d(x, {.out_channels = 6, .kernel = 3, .stride = {2, 1}, .padding = 1, .name = "conv"}));
  x = net.relu(net.conv2d(x, {.out_channels = 6, .kernel = 3, .groups = 3, .name = "grouped"}));
  net.output(net.linear(net.flatten(x), {.out_features = 4, .name = "fc"}));
  net.initialize(5);
  return net;
}

class AdaRound : public testing::TestWithParam<std::string> {};

TEST_P(AdaRound, MovesWeightsToPointsBesideThemThatGiveLessError) {
  const nn::Graph net = small_net();
  const Tensor images = correlated_images(net.input_shape(), 96, 3);
  nn::Graph rounded = quant::adaround(net, weights_as(GetParam()), run_on(images));
  nn::Graph nearest = rounded_to_nearest(net, GetParam());
  nn::Graph source = net.clone();
  const Tensor expected = test::infer(source, images);
  EXPECT_LT(squared_distance(test::infer(rounded, images), expected),
            0.5 * squared_distance(test::infer(nearest, images), expected));

  const quant::QuantizerSpec spec = quant::parse_weight_quantizer(GetParam());
  std::size_t moved = 0;
  for (const char* const name : {"conv", "grouped", "fc"}) {
    const Tensor& before = weight_of(net, name);
    const Tensor& after = weight_of(rounded, name);
    const quant::QuantizedWeight codes = quant::quantize_weight(before, {}, 1.0F, spec);
    const quant::QuantizedWeight shipped = quant::quantize_weight(after, {}, 1.0F, spec);
    const Tensor numbers = quant::numbers_of(shipped, DType::F32, nullptr);
    const auto row = static_cast<std::size_t>(before.shape().row_elements());
    for (std::size_t i = 0; i < before.data<float>().size(); ++i) {
      const float scale = shipped.qparams.scale_of(i / row);
      EXPECT_NEAR(numbers.data<float>()[i] * scale, after.data<float>()[i], 1e-6) << name << ", weight " << i;
      const int step = int{shipped.codes.data<std::int8_t>()[i]} - int{codes.codes.data<std::int8_t>()[i]};
      EXPECT_LE(std::abs(step), 1) << name << ", weight " << i;
      moved += step != 0 ? 1 : 0;
    }
  }
  EXPECT_GT(moved, 0U);
}

INSTANTIATE_TEST_SUITE_P(OfGrids, AdaRound,
                         testing::Values("int4 per-channel", "int3 per-tensor", "int3 per-group 3 min-max"),
                         [](const auto& parameter) {
                           std::string name = parameter.param;
                           std::ranges::replace(name, ' ', '_');
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST(AdaRoundTest, IsTheSameOnAnyNumberOfThreads) {
  const nn::Graph net = small_net();
  const Tensor images = correlated_images(net.input_shape(), 40, 4);
  std::vector<Tensor> weights;
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    pool.run([&] {
      const nn::Graph rounded =
          quant::adaround(net, weights_as("int4"), run_on(images), quant::standard_kinds(), {.steps = 60});
      weights.push_back(weight_of(rounded, "grouped").clone());
    });
  }
  EXPECT_EQ(std::memcmp(weights[0].raw(), weights[1].raw(), weights[0].bytes()), 0);
}

TEST(AdaRoundTest, LeavesFloatLayersAndLearnsSharedOnesOnce) {
  nn::Graph net;
  const auto x = net.input({5});
  const auto shared = std::make_shared<nn::Linear>(nn::Linear::Options{.out_features = 5});
  auto y = net.relu(net.add(shared, {x}, "first"));
  y = net.add(shared, {y}, "second");
  net.output(net.linear(y, {.out_features = 3, .name = "classes"}));
  net.initialize(2);
  quant::QConfigMapping mapping = weights_as("int3");
  mapping.set_name("classes", std::nullopt);
  const Tensor images = correlated_images({5}, 40, 4);
  const nn::Graph rounded = quant::adaround(net, mapping, run_on(images));
  EXPECT_EQ(std::memcmp(weight_of(rounded, "classes").raw(), weight_of(net, "classes").raw(),
                        weight_of(net, "classes").bytes()),
            0);
  const Tensor& weight = weight_of(rounded, "first");
  const quant::QuantizedWeight codes = quant::quantize_weight(weight, {}, 1.0F, quant::parse_weight_quantizer("int3"));
  for (std::size_t i = 0; i < 25; ++i) {
    EXPECT_NEAR(codes.qparams.scale_of(i / 5) * static_cast<float>(codes.codes.data<std::int8_t>()[i]),
                weight.data<float>()[i], 1e-6);
  }
}

TEST(AdaRoundTest, RefusesGridsThatWouldMove) {
  const nn::Graph net = small_net();
  EXPECT_THAT(error_of([&] { quant::check_adaround(net, weights_as("int4 mse")); }),
              HasSubstr("adaround: conv: the grid of 'int4 per-channel symmetric mse' would move with the weights"));
  EXPECT_THAT(error_of([&] { quant::check_adaround(net, weights_as("int4 power-of-two")); }), HasSubstr("adaround: "));
  EXPECT_EQ(error_of([&] { quant::check_adaround(net, weights_as("int4 min-max")); }), "no error");
  EXPECT_NE(error_of([&] {
              quant::adaround(net, weights_as("int4"), run_on(correlated_images({7, 6, 2}, 4, 1)),
                              quant::standard_kinds(), {.steps = 0});
            }),
            "no error");
}

}  // namespace
}  // namespace detent::adaround_test
