// Products from f32 to f32 with weights of codes: plans against the reference, files, refusals, and that an example's
// result is its own.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "detent/runtime/model_file.h"
#include "detent/runtime/summary.h"
#include "detent/runtime/target_plan.h"
#include "tests/error_of.h"
#include "tests/runtime/against_reference.h"

namespace detent::runtime::hybrid_test {
namespace {

using test::ModelBuilder;
using testing::HasSubstr;

/// Every kind of convolution and a perceptron, without operations that round otherwise than the reference.
Model network(std::uint64_t seed, std::optional<CodeRange> dynamic, int bits = 8, std::int64_t group = 0) {
  ModelBuilder b(seed);
  const ValueId first =
      b.hybrid(b.input({11, 13, 3}), {.o = 16, .kh = 3, .kw = 3, .padding = 1}, dynamic, true, bits, group);
  const ValueId grouped =
      b.hybrid(first, {.o = 12, .kh = 3, .kw = 3, .padding = 1, .groups = 4}, dynamic, false, bits, group);
  const ValueId depthwise =
      b.hybrid(grouped, {.o = 12, .kh = 5, .kw = 3, .padding = {4, 1}, .dilation_h = 2, .groups = 12}, dynamic, true);
  const ValueId strided = b.hybrid(b.max_pool(depthwise), {.o = 19, .kh = 2, .kw = 2, .stride_h = 2, .dilation_w = 2},
                                   dynamic, false, bits);
  const ValueId hidden = b.hybrid(b.flatten(strided), {.o = 37}, dynamic, true, bits, group);
  b.hybrid(hidden, {.o = 10}, dynamic);
  return b.model;
}

TEST(HybridModels, DynamicOnesGiveTheBitsOfTheReference) {
  for (const std::uint64_t seed : {1, 2, 3}) {
    for (const std::int64_t batch : {1, 3, 17, 40}) {
      test::expect_reference(network(seed, unsigned_codes(seed == 3 ? 4 : 8), 8, seed == 2 ? 2 : 0), batch, seed);
    }
  }
}

/// Pools of 2 x 2 behind layers that can do them as well, behind those that cannot, and where others read the layer.
TEST(HybridModels, PoolsBehindDynamicLayersGiveTheBitsOfTheReference) {
  const CodeRange codes = unsigned_codes(8);
  for (const std::int64_t group : {0, 2}) {
    for (const std::int64_t batch : {1, 3, 17}) {
      ModelBuilder b(15);
      const ValueId first = b.hybrid(b.input({13, 14, 3}), {.o = 20, .kh = 3, .kw = 3}, codes, true, 8, group);
      const ValueId second = b.hybrid(b.max_pool(first), {.o = 8, .kh = 2, .kw = 2, .groups = 4}, codes, false);
      b.hybrid(b.flatten(b.max_pool(second)), {.o = 5}, codes);
      test::expect_reference(b.model, batch, 7);
    }
  }
}

TEST(HybridModels, WeightOnlyOnesGiveTheNumbersOfTheReference) {
  for (const int bits : {8, 4, 2}) {
    for (const std::int64_t batch : {1, 17}) {
      test::expect_reference(network(4, {}, bits, bits == 4 ? 2 : 0), batch, 7, 1e-5F);
    }
  }
}

/// Of one layer: behind a second one, numbers that differ in the last bits could be rounded to different ones of bf16.
TEST(HybridModels, WeightOnlyOnesOfBf16GiveTheNumbersOfTheReference) {
  for (const int bits : {8, 4, 2}) {
    for (const kernels::ConvShape& shape :
         {kernels::ConvShape{.o = 16, .kh = 3, .kw = 3, .padding = 1}, {.o = 9, .kh = 5, .kw = 3, .groups = 3}}) {
      for (const std::int64_t batch : {1, 17}) {
        ModelBuilder b(14);
        b.hybrid(b.input({11, 13, 3}), shape, {}, true, bits, 2);
        std::get<HybridProduct>(b.model.nodes.back().op).input = DType::BF16;
        test::expect_reference(b.model, batch, 7, 1e-5F);
      }
    }
  }
}

TEST(HybridModels, ExamplesAreIndependentOfBatchAndThreads) {
  for (const std::optional<CodeRange> dynamic : {std::optional(unsigned_codes(8)), std::optional<CodeRange>()}) {
    const Model model = network(5, dynamic, 4, 2);
    const std::vector<Tensor> inputs = test::inputs_of(model, 40, 3);
    const Tensor together = test::run_plan(model, inputs, 1);
    test::expect_same(test::run_plan(model, inputs, 3), together, "three threads");
    for (const std::int64_t image : {0, 7, 39}) {
      test::expect_same(test::run_plan(model, {inputs[0].rows(image, image + 1)}), together.rows(image, image + 1),
                        "image " + std::to_string(image));
    }
  }
}

/// A large layer, which several threads share at batch 1.
TEST(HybridModels, ALayerInPartsGivesTheSame) {
  for (const std::optional<CodeRange> dynamic : {std::optional(unsigned_codes(8)), std::optional<CodeRange>()}) {
    ModelBuilder b(6);
    b.hybrid(b.input({2048}), {.o = 1000}, dynamic, true);
    const std::vector<Tensor> inputs = test::inputs_of(b.model, 1, 3);
    test::expect_same(test::run_plan(b.model, inputs, 4), test::run_plan(b.model, inputs, 1), "four threads");
  }
}

TEST(HybridModels, ComeBackFromFiles) {
  for (const std::optional<CodeRange> dynamic : {std::optional(unsigned_codes(7)), std::optional<CodeRange>()}) {
    for (const int bits : {8, 4}) {
      Model before = network(8, dynamic, bits, 2);
      if (!dynamic) {
        std::get<HybridProduct>(before.nodes[0].op).input = DType::BF16;
      }
      const Model after = from_file(to_file({.model = before})).model;
      for (std::size_t i = 0; i < before.nodes.size(); ++i) {
        const auto* const one = std::get_if<HybridProduct>(&before.nodes[i].op);
        if (one != nullptr) {
          const auto& two = std::get<HybridProduct>(after.nodes[i].op);
          test::expect_same(two.weight.reshape(one->weight.shape()), one->weight, before.nodes[i].name);
          EXPECT_EQ(*two.weight.qparams(), *one->weight.qparams());
          EXPECT_EQ(two.dynamic, one->dynamic);
          EXPECT_EQ(two.input, one->input);
          EXPECT_EQ(two.shape, one->shape);
          EXPECT_EQ(two.relu, one->relu);
        }
      }
      const std::vector<Tensor> inputs = test::inputs_of(before, 3, 1);
      test::expect_same(test::run_plan(after, inputs), test::run_plan(before, inputs), "result");
    }
  }
}

TEST(HybridModels, FilesAreReadStrictly) {
  const auto error_with = [](const std::function<void(nlohmann::json&)>& damage) {
    TensorFile file = to_file({.model = network(8, unsigned_codes(8))});
    nlohmann::json graph = nlohmann::json::parse(file.text("graph"));
    damage(graph["nodes"][0]);
    file.attributes["graph"] = graph.dump();
    return error_of([&] { from_file(file); });
  };
  EXPECT_EQ(error_with([](nlohmann::json&) {}), "no error");
  // Weights are symmetric: no zero points are stored, and there may be none.
  TensorFile file = to_file({.model = network(8, unsigned_codes(8))});
  const std::string zero_points = "parameters/product0/weight_zero_point";
  EXPECT_FALSE(file.tensors.contains(zero_points));
  file.tensors[zero_points] = Tensor::zeros({16}, DType::S32);
  EXPECT_THAT(error_of([&] { from_file(file); }), HasSubstr(zero_points));
  EXPECT_THAT(error_with([](auto& node) { node["input_bits"] = 9; }), HasSubstr("bits"));
  EXPECT_THAT(error_with([](auto& node) { node["input_bits"] = "8"; }), HasSubstr("input_bits"));
  EXPECT_THAT(error_with([](auto& node) { node["input_type"] = "f16"; }), HasSubstr("input_type: expected bf16"));
  EXPECT_THAT(error_with([](auto& node) { node["input_type"] = "bf16"; }),
              HasSubstr("input: expected f32, from which codes are made, got bf16"));
  EXPECT_THAT(error_with([](auto& node) { node["weight_bits"] = 4; }), HasSubstr("weight"));
  EXPECT_THAT(error_with([](auto& node) { node["dynamic"] = true; }), HasSubstr("unknown key 'dynamic'"));
  EXPECT_THAT(error_with([](auto& node) { node["op"] = "product"; }), HasSubstr("unknown key"));
}

TEST(HybridModels, WhatIsNoneIsRefused) {
  const auto error_with = [](const std::function<void(Model&, HybridProduct&)>& damage) {
    Model model = network(9, unsigned_codes(8));
    damage(model, std::get<HybridProduct>(model.nodes[0].op));
    return error_of([&] { model.validate(); });
  };
  EXPECT_EQ(error_with([](Model&, HybridProduct&) {}), "no error");
  EXPECT_THAT(error_with([](Model&, HybridProduct& p) { p.weight = p.weight.with_qparams(nullptr); }),
              HasSubstr("expected codes with their scales"));
  EXPECT_THAT(error_with([](Model&, HybridProduct& p) { p.weight = Tensor::zeros(p.weight.shape(), DType::F32); }),
              HasSubstr("expected s8"));
  EXPECT_THAT(error_with([](Model&, HybridProduct& p) { p.dynamic = signed_codes(8); }),
              HasSubstr("expected codes in [0, 255]"));
  EXPECT_THAT(error_with([](Model&, HybridProduct& p) {
                p.dynamic.reset();
                p.input = DType::F64;
              }),
              HasSubstr("input: expected f32 or bf16, got f64"));
  EXPECT_THAT(error_with([](Model&, HybridProduct& p) { p.bias = Tensor::zeros({p.shape.o}, DType::S32); }),
              HasSubstr("bias: expected f32"));
  EXPECT_THAT(error_with([](Model& m, HybridProduct&) { m.nodes[0].inputs = {0, 0}; }), HasSubstr("expected 1 inputs"));
  EXPECT_THAT(error_with([](Model& m, HybridProduct& p) {
                m.nodes[0].output.dtype = DType::U8;
                m.nodes[0].output.qparams = std::make_shared<const QParams>(QParams::per_tensor({}, unsigned_codes(8)));
                (void)p;
              }),
              HasSubstr("output: expected f32, got codes"));
}

TEST(HybridModels, AreSummedUpAndRunByTargets) {
  const Model model = network(10, unsigned_codes(8));
  EXPECT_FALSE(model.is_integer());
  EXPECT_THAT(summary(model), HasSubstr("dynamic hybrid_product"));
  EXPECT_THAT(summary(network(10, {})), HasSubstr("weight-only hybrid_product"));
  EXPECT_GE(parameter_count(model.nodes[0]), 16 * 27);
  const std::vector<Tensor> inputs = test::inputs_of(model, 3, 1);
  const TargetPlan plan(model, 3, kernels::RoundingTarget::Tflite);
  test::expect_same(plan.run(inputs)[model.output], test::run_plan(model, inputs), "under another's rules");
  EXPECT_EQ(plan.rule(0), RuleUsed::None);
}

TEST(HybridModels, PlansTakeTheMemoryOfTheirBits) {
  const auto bytes_of = [](int bits) {
    ModelBuilder b(11);
    b.hybrid(b.input({512}), {.o = 512}, {}, false, bits);
    return Plan(b.model, 1).memory_bytes();
  };
  const std::size_t weights = 512 * 512;
  EXPECT_LT(bytes_of(8), weights * 11 / 10);
  EXPECT_EQ(bytes_of(8) - bytes_of(4), weights / 2);
  EXPECT_EQ(bytes_of(8) - bytes_of(2), weights / 4 * 3);
}

TEST(HybridModels, SmallWeightsOfConvolutionsAreExpanded) {
  const auto bytes_of = [](std::int64_t outputs, std::optional<int> bits) {
    ModelBuilder b(12);
    const kernels::ConvShape shape{.o = outputs, .kh = 3, .kw = 3};
    const ValueId x = b.input({6, 6, 64});
    bits ? b.hybrid(x, shape, {}, false, *bits) : b.conv(x, shape);
    return Plan(b.model, 1).memory_bytes();
  };
  EXPECT_NEAR(static_cast<double>(bytes_of(64, 4)), static_cast<double>(bytes_of(64, {})), 300);
  EXPECT_LT(bytes_of(512, 4) * 6, bytes_of(512, {}));
}

}  // namespace
}  // namespace detent::runtime::hybrid_test
