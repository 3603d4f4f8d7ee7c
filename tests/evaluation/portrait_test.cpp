#include "detent/evaluation/portrait/portrait.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "detent/core/threads/parallel.h"
#include "detent/quant/passes/lower.h"
#include "detent/report/portrait_json.h"
#include "tests/quant/qat_fixture.h"

namespace detent::portrait_test {
namespace {

using namespace evaluation;
using testing::ElementsAre;

// y = relu(w x) of two inputs, then a sum and a difference.
nn::Graph two_layers(float w0, float w1) {
  nn::Graph net;
  auto x = net.input({2});
  x = net.linear(x, {.out_features = 2, .bias = false, .name = "first"});
  x = net.relu(x);
  x = net.linear(x, {.out_features = 2, .bias = false, .name = "last"});
  net.output(x);
  net.initialize(1);
  auto weights = net.parameters();
  weights[0].parameter->value = Tensor::from<float>({w0, 0.0F, 0.0F, w1}, {2, 2});
  weights[1].parameter->value = Tensor::from<float>({1.0F, 1.0F, 1.0F, -1.0F}, {2, 2});
  return net;
}

runtime::Model lowered(const nn::Graph& graph) {
  return quant::lower(graph, quant::standard_kinds(), quant::Sums::Apart);
}

data::Dataset rows_of(const Tensor& examples) {
  return {
      .name = "rows", .examples = examples, .labels = Tensor::zeros({examples.shape()[0]}, DType::S32), .classes = 2};
}

TEST(Portrait, TellsHowFarALayerIsAndHowItsValuesLie) {
  // a = 1 2 0 1, b = 1 3 0 1.5
  const data::Dataset rows = rows_of(Tensor::from<float>({1.0F, 2.0F, -3.0F, 1.0F}, {2, 2}));
  const Portrait portrait = portray(lowered(two_layers(1.0F, 1.0F)), lowered(two_layers(1.0F, 1.5F)), rows, {});
  EXPECT_EQ(portrait.examples, 2);
  ASSERT_EQ(portrait.layers.size(), 2U);
  const LayerPortrait& first = portrait.layers[0];
  EXPECT_EQ(first.difference.name, "first");
  EXPECT_EQ(first.kind, "linear");
  EXPECT_DOUBLE_EQ(first.difference.mean, 1.5 / 4);
  EXPECT_DOUBLE_EQ(first.difference.snr, 10.0 * std::log10(6.0 / 1.25));
  EXPECT_EQ(first.values.total, 4.0);
  EXPECT_EQ(first.values.zeros, 1.0) << "in no bar";
  ASSERT_EQ(first.values.counts.size(), 61U) << "1025 bins of 2048, 17 a bar";
  EXPECT_EQ(first.values.counts.front(), 2.0) << "both 1";
  EXPECT_EQ(first.values.counts.back(), 1.0) << "2";
  EXPECT_NEAR(first.values.lower, 1.0, 1e-3);
  EXPECT_NEAR(first.values.lower + 60 * first.values.width, 2.0, 0.05);
  EXPECT_EQ(first.grid, nullptr);
  EXPECT_FALSE(first.weights);
}

TEST(Portrait, OfAnInt8ModelHasItsGrids) {
  const nn::Graph graph = two_layers(1.0F, 0.5F);
  nn::Graph prepared = quant::prepare(graph, quant::QConfigMapping());
  const Tensor images = test::random_images({2}, 50, 3);
  test::infer(prepared, images);
  quant::freeze_observers(prepared);
  const quant::Converted converted = quant::convert(prepared);
  const Portrait portrait = portray(lowered(graph), converted.model, rows_of(images), {});
  ASSERT_EQ(portrait.layers.size(), 2U);
  const LayerPortrait& first = portrait.layers[0];
  ASSERT_NE(first.grid, nullptr);
  EXPECT_EQ(first.grid->codes, (CodeRange{0, 255}));
  EXPECT_GT(first.difference.snr, 30.0);
  EXPECT_EQ(first.difference.type_b, "u8");
  ASSERT_TRUE(first.weights);
  EXPECT_EQ(first.weights->codes, (CodeRange{-127, 127}));
  ASSERT_EQ(portrait.model.size(), 1 + converted.model.nodes.size());
  EXPECT_EQ(portrait.model[0].kind, "input");
  const nlohmann::json json = report::layers_json(portrait);
  EXPECT_EQ(json["rows"][0]["grid"]["qmax"], 255);
  EXPECT_EQ(json["rows"][0]["weights"]["granularity"], "channel");
  EXPECT_EQ(report::model_json(portrait)["nodes"][0]["shape"], nlohmann::json({2}));
}

TEST(Portrait, OfAModelBesideItselfHasGridsAlone) {
  const runtime::Model model = lowered(two_layers(1.0F, 0.5F));
  const Portrait portrait = portray(model, model, rows_of(test::random_images({2}, 10, 3)), {});
  EXPECT_FALSE(portrait.is_against_float);
  ASSERT_EQ(portrait.layers.size(), 2U);
  EXPECT_TRUE(std::isinf(portrait.layers[1].difference.snr));
  EXPECT_EQ(report::layers_json(portrait)["against"], "int8");
}

TEST(Portrait, IsTheSameAtAnyNumberOfThreads) {
  const data::Dataset rows = rows_of(test::random_images({2}, 200, 7, -1.0F, 1.0F));
  std::vector<nlohmann::json> found;
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    pool.run([&] {
      found.push_back(
          report::layers_json(portray(lowered(two_layers(1.0F, 1.0F)), lowered(two_layers(1.1F, 0.9F)), rows, {})));
    });
  }
  EXPECT_EQ(found[0], found[1]);
  EXPECT_EQ(found[0]["examples"], kPortraitExamples);
}

TEST(Portrait, InJsonTellsEqualFromInfinitelyFar) {
  Portrait portrait;
  portrait.layers.resize(2);
  portrait.layers[0].difference.snr = std::numeric_limits<double>::infinity();
  portrait.layers[1].difference.snr = -std::numeric_limits<double>::infinity();
  const nlohmann::json json = report::layers_json(portrait);
  EXPECT_TRUE(json["rows"][0]["snr_db"].is_null());
  EXPECT_EQ(json["rows"][1]["snr_db"], -100.0);
}

Tensor codes_of(const std::vector<std::int8_t>& codes, QParams map) {
  return Tensor::from<std::int8_t>(codes, {1, static_cast<std::int64_t>(codes.size())})
      .with_qparams(std::make_shared<const QParams>(std::move(map)));
}

TEST(CountCodes, HasABarACodeOrASoMany) {
  const CodeCounts four = count_codes(codes_of({-7, 0, 0, 7, 6}, {{0.5F}, {0}, 0, signed_codes(4)}));
  EXPECT_EQ(four.codes_a_bar, 1);
  EXPECT_THAT(four.counts, ElementsAre(1, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 1));
  EXPECT_EQ(four.granularity, "channel");
  const CodeCounts eight = count_codes(codes_of({-127, -124, -123, 127}, {{0.5F}, {0}, -1, signed_codes(8)}));
  EXPECT_EQ(eight.codes_a_bar, 4);
  ASSERT_EQ(eight.counts.size(), 64U);
  EXPECT_EQ(eight.counts[0], 2.0) << "-127 to -124";
  EXPECT_EQ(eight.counts[1], 1.0);
  EXPECT_EQ(eight.counts[63], 1.0) << "125 to 127";
  EXPECT_EQ(eight.granularity, "tensor");
  const CodeCounts groups = count_codes(codes_of({1, 1, -1, 1}, {{0.5F, 0.25F}, {0, 0}, 0, signed_codes(1), 2, 2}));
  EXPECT_EQ(groups.granularity, "group of 2");
  EXPECT_EQ(groups.smallest_scale, 0.25F);
  EXPECT_EQ(groups.largest_scale, 0.5F);
  EXPECT_THAT(groups.counts, ElementsAre(1, 0, 3));
}

}  // namespace
}  // namespace detent::portrait_test
