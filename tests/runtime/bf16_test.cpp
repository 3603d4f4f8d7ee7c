// Float products with weights of bf16: plans against the reference, files, refusals; and the bytes that plans keep.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "detent/runtime/model_file.h"
#include "detent/runtime/summary.h"
#include "tests/error_of.h"
#include "tests/runtime/against_reference.h"

namespace detent::runtime::bf16_test {
namespace {

using test::ModelBuilder;
using testing::HasSubstr;

/// The same with weights of bf16.
Model in_bf16(Model model) {
  for (Node& node : model.nodes) {
    if (auto* const product = std::get_if<Product>(&node.op)) {
      product->weight = product->weight.to(DType::BF16);
    }
  }
  return model;
}

Model network(std::uint64_t seed) {
  ModelBuilder b(seed);
  const ValueId first = b.conv(b.input({11, 13, 3}), {.o = 16, .kh = 3, .kw = 3, .padding = 1}, true);
  const ValueId grouped = b.conv(first, {.o = 12, .kh = 3, .kw = 3, .padding = 1, .groups = 4});
  const ValueId depthwise = b.conv(grouped, {.o = 12, .kh = 3, .kw = 3, .padding = 1, .groups = 12}, true);
  const ValueId summed = b.conv(grouped, {.o = 12, .kh = 1, .kw = 1}, true, true, true, 8, {depthwise});
  const ValueId strided = b.conv(b.max_pool(summed), {.o = 19, .kh = 2, .kw = 2, .stride_h = 2, .dilation_w = 2});
  b.linear(b.linear(b.flatten(strided), 37, true), 10);
  return in_bf16(b.model);
}

TEST(Bf16Models, GiveTheNumbersOfTheReference) {
  for (const std::int64_t batch : {1, 3, 17}) {
    // A sum in another order may round to another bf16 in the layer behind.
    test::expect_reference(network(1), batch, 7, 2e-2F);
  }
}

/// 1 + 2^-9 is no number of bf16, and lies below the middle between 1 and the next one, 1 + 2^-7.
TEST(Bf16Models, InputsAreRoundedBeforeTheyAreMultiplied) {
  ModelBuilder b(2);
  b.conv(b.input({1}), {.o = 1, .kh = 1, .kw = 1}, false, false);
  Model model = b.model;
  std::get<Product>(model.nodes[0].op).weight = Tensor::full({1, 1}, DType::BF16, 3.0);
  for (const std::int64_t batch : {1, 20}) {
    const Tensor x = Tensor::full({batch, 1}, DType::F32, 1.0 + 0x1p-9);
    EXPECT_EQ(test::run_plan(model, {x}).data<float>()[0], 3.0F) << "batch " << batch;
  }
  const Tensor x = Tensor::full({1, 1}, DType::F32, 1.0 + 0x1p-9);
  EXPECT_EQ(run_reference(model, std::span(&x, 1))[1].data<float>()[0], 3.0F);
}

TEST(Bf16Models, DoNotDependOnThreads) {
  const Model model = network(3);
  for (const std::int64_t batch : {1, 40}) {
    const std::vector<Tensor> inputs = test::inputs_of(model, batch, 3);
    test::expect_same(test::run_plan(model, inputs, 3), test::run_plan(model, inputs, 1), "three threads");
  }
}

TEST(Bf16Models, ComeBackFromFiles) {
  const Model before = network(4);
  const TensorFile file = to_file({.model = before});
  const auto graph = nlohmann::json::parse(std::get<std::string>(file.attributes.at("graph")));
  EXPECT_EQ(graph["nodes"][0]["weight_type"], "bf16");
  const Model after = from_file(file).model;
  const std::vector<Tensor> inputs = test::inputs_of(before, 5, 3);
  test::expect_same(test::run_plan(after, inputs), test::run_plan(before, inputs), "from its file");
  EXPECT_THAT(summary(after), HasSubstr("bf16 product"));

  TensorFile damaged = file;
  std::string text = std::get<std::string>(damaged.attributes.at("graph"));
  text.replace(text.find("\"weight_type\":\"bf16\""), 20, "\"weight_type\":\"f16\"");
  damaged.attributes["graph"] = text;
  EXPECT_THAT(error_of([&] { from_file(damaged); }), HasSubstr("weight_type: expected bf16, got \"f16\""));
  damaged = file;
  Tensor& weight = damaged.tensors.at("parameters/product0/weight");
  weight = weight.to(DType::F32);
  EXPECT_THAT(error_of([&] { from_file(damaged); }), HasSubstr("parameters/product0/weight: expected bf16, got f32"));
}

TEST(Bf16Models, RefuseWhatIsNotFinite) {
  Model model = network(5);
  auto& product = std::get<Product>(model.nodes[0].op);
  product.weight = product.weight.clone();
  product.weight.data<bfloat16>()[7] = std::numeric_limits<bfloat16>::infinity();
  EXPECT_THAT(error_of([&] { model.validate(); }), HasSubstr("weight: element 7: expected a finite number, got inf"));
}

// A linear layer of 64 inputs and 16 outputs: 1024 weights and 16 biases.
TEST(ParameterBytes, FollowTheBits) {
  const auto bytes_of = [](const Model& model) {
    Plan plan(model, 2);
    return parameter_bytes(plan);
  };
  ModelBuilder in_float(1);
  in_float.linear(in_float.input({64}), 16);
  EXPECT_EQ(bytes_of(in_float.model), 1024U * 4 + 16 * 4);
  EXPECT_EQ(bytes_of(in_bf16(in_float.model)), 1024U * (kernels::has_bf16_units() ? 2 : 4) + 16 * 4);
  for (const int bits : {8, 4, 2}) {
    ModelBuilder b(2);
    b.hybrid(b.input({64}), {.o = 16}, {}, false, bits);
    const std::size_t constants = 16 * 4 * 2;  // scales and biases
    auto& product = std::get<HybridProduct>(b.model.nodes[0].op);
    product.bias = Tensor::zeros({16}, DType::F32);
    EXPECT_EQ(bytes_of(b.model), 1024U * static_cast<std::size_t>(bits) / 8 + constants) << bits << " bits";
  }
  for (const int bits : {8, 4}) {
    ModelBuilder b(3);
    b.conv(b.quantize(b.input({64})), {.o = 16}, false, true, true, bits);
    if (kernels::has_int8_units()) {
      EXPECT_EQ(bytes_of(b.model), 1024U * static_cast<std::size_t>(bits) / 8 + 16 * 4 * 3)
          << bits << " bits; multipliers, biases, and what sums begin with";
    }
  }
}

TEST(ParameterBytes, CountWhatNothingPacks) {
  ModelBuilder b(1);
  const Tensor channels = Tensor::full({5}, DType::F32, 1.0);
  b.add(BatchNorm{.mean = channels, .variance = channels, .weight = channels, .bias = {}}, {b.input({5})},
        b.reals({5}));
  Plan plan(b.model, 1);
  EXPECT_EQ(parameter_bytes(plan), 3U * 5 * 4);
}

TEST(ParameterBytes, PlansLetGoOfWhatTheyPacked) {
  ModelBuilder b(2);
  const ValueId hidden = b.linear(b.quantize(b.linear(b.input({64}), 16)), 16);
  b.hybrid(b.dequantize(hidden), {.o = 3}, {});
  std::vector<Tensor> weights;
  for (const Node& node : b.model.nodes) {
    if (const Tensor* const weight = product_weight(node.op)) {
      weights.push_back(*weight);
    }
  }
  ASSERT_EQ(weights.size(), 3U);
  Plan plan(b.model, 2);
  const Tensor expected = test::run_plan(b.model, test::inputs_of(b.model, 2, 1));
  const std::vector<Tensor> inputs = test::inputs_of(b.model, 2, 1);
  b.model = {};
  for (const Tensor& weight : weights) {
    EXPECT_FALSE(weight.shares_memory());
  }
  test::expect_same(plan.run(inputs), expected, "without the model");
}

}  // namespace
}  // namespace detent::runtime::bf16_test
