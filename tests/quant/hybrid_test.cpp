// Dynamic and weight-only quantization of float graphs.

#include "detent/quant/methods/hybrid.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/evaluation/verify_hybrid.h"
#include "detent/quant/kinds/product/integer_product.h"
#include "detent/quant/passes/lower.h"
#include "tests/quant/qat_fixture.h"

namespace detent::hybrid_test {
namespace {

using quant::Method;
using quant::quantize_hybrid;
using testing::HasSubstr;

nn::Graph net_of(std::uint64_t seed) {
  nn::Graph net = test::everything_net();
  net.initialize(seed);
  return net;
}

quant::QConfigMapping mapping_of(std::string_view weights, std::string_view activations = "uint8 per-token") {
  quant::QConfig config;
  config.weight = quant::parse_weight_quantizer(weights);
  config.activation = quant::parse_activation_quantizer(activations);
  return quant::QConfigMapping(config);
}

double relative_error(const Tensor& a, const Tensor& b) {
  double error = 0.0, size = 0.0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(a.elements()); ++i) {
    const double x = double{a.data<float>()[i]}, y = double{b.data<float>()[i]};
    error += (x - y) * (x - y);
    size += x * x;
  }
  return std::sqrt(error / size);
}

TEST(Hybrid, ComputesNearlyWhatTheFloatModelComputes) {
  nn::Graph net = net_of(1);
  const Tensor images = test::random_images({12, 12, 3}, 20, 3, -1.0F, 1.0F);
  const Tensor expected = test::infer(net, images);
  const auto error_of_method = [&](Method method, std::string_view weights) {
    return relative_error(expected, test::infer(quantize_hybrid(net, mapping_of(weights), method).model, images));
  };
  EXPECT_LT(error_of_method(Method::Dynamic, "int8"), 0.03);
  EXPECT_LT(error_of_method(Method::WeightOnly, "int8"), 0.02);
  EXPECT_LT(error_of_method(Method::WeightOnly, "int4 per-group 8"), 0.3);
  EXPECT_GT(error_of_method(Method::WeightOnly, "int4 per-tensor"), error_of_method(Method::WeightOnly, "int8"));
  EXPECT_LT(error_of_method(Method::Bf16, "int8"), 0.01);
  EXPECT_GT(error_of_method(Method::Bf16, "int8"), 1e-5);
}

TEST(Hybrid, ProductsOfBf16HaveTheirWeightsRounded) {
  const nn::Graph net = net_of(7);
  runtime::Model in_float = quant::lower(net, quant::standard_kinds(), quant::Sums::Apart);
  quant::Converted converted = quantize_hybrid(net, mapping_of("int8").set_name("fc2", std::nullopt), Method::Bf16);
  for (const char* const name : {"conv1", "depthwise", "conv2", "fc1"}) {
    const auto& product = test::op_of<runtime::Product>(converted.model, name);
    const Tensor expected = test::op_of<runtime::Product>(in_float, name).weight.to(DType::BF16);
    ASSERT_EQ(product.weight.dtype(), DType::BF16) << name;
    EXPECT_EQ(std::memcmp(product.weight.raw(), expected.raw(), expected.bytes()), 0) << name;
  }
  EXPECT_EQ(test::op_of<runtime::Product>(converted.model, "fc2").weight.dtype(), DType::F32) << "kept in float";
  EXPECT_THAT(quant::to_text(converted.ledger),
              testing::ContainsRegex("fc1 +bf16_linear +bf16 +bf16 x bf16, sums of f32"));
}

TEST(Hybrid, GivesWeightsTheirStaticQuantizer) {
  const nn::Graph net = net_of(2);
  runtime::Model in_float = quant::lower(net, quant::standard_kinds(), quant::Sums::Apart);
  for (const char* const text : {"int8", "int4 per-group 4", "int6 per-tensor percentile 99"}) {
    runtime::Model model = quantize_hybrid(net, mapping_of(text), Method::WeightOnly).model;
    for (const char* const name : {"conv1", "depthwise", "conv2", "fc1", "fc2"}) {
      const auto& product = test::op_of<runtime::HybridProduct>(model, name);
      const quant::QuantizedWeight expected = quant::quantize_weight(
          test::op_of<runtime::Product>(in_float, name).weight, {}, 1.0F, quant::parse_weight_quantizer(text));
      EXPECT_EQ(*product.weight.qparams(), expected.qparams) << name;
      EXPECT_TRUE(std::ranges::equal(product.weight.data<std::int8_t>(), expected.codes.data<std::int8_t>())) << name;
    }
  }
}

TEST(Hybrid, SaysWhatBecameOfEachModule) {
  const nn::Graph net = net_of(3);
  const quant::Converted converted =
      quantize_hybrid(net, mapping_of("int4 per-group 4").set_name("fc2", std::nullopt), Method::Dynamic);
  const std::string text = quant::to_text(converted.ledger);
  EXPECT_THAT(text,
              testing::ContainsRegex(
                  "conv1 +dynamic_conv2d +int8 +u8 of each example's range x s8 of 4 bits per group 4, relu fused"));
  EXPECT_THAT(text, testing::ContainsRegex("sigmoid +sigmoid|sigmoid +activation"));
  EXPECT_THAT(text, testing::ContainsRegex("fc2 +linear +float +kept in float as asked by 'fc2'"));
  EXPECT_NO_THROW(quant::check_strict(converted.ledger));
  const runtime::Model& model = converted.model;
  EXPECT_TRUE(std::holds_alternative<runtime::Product>(model.nodes[test::index_of(model, "fc2")].op));
  EXPECT_EQ(model.nodes[test::index_of(model, "fc2")].note, "kept in float as asked by 'fc2'");
  const auto weight_only = quantize_hybrid(net, mapping_of("int8"), Method::WeightOnly);
  EXPECT_THAT(quant::to_text(weight_only.ledger),
              testing::ContainsRegex("fc2 +weight_only_linear +weights +f32 x s8 per channel"));
  quant::QConfig of_bf16;
  of_bf16.numbers = DType::BF16;
  auto rounded = quantize_hybrid(net, quant::QConfigMapping().set_name("fc2", of_bf16), Method::WeightOnly);
  EXPECT_THAT(quant::to_text(rounded.ledger),
              testing::ContainsRegex("fc2 +weight_only_linear +weights +bf16 x s8 per channel"));
  EXPECT_EQ(test::op_of<runtime::HybridProduct>(rounded.model, "fc2").input, DType::BF16);
  EXPECT_EQ(test::op_of<runtime::HybridProduct>(rounded.model, "fc1").input, DType::F32);
  auto all_rounded = quantize_hybrid(net, quant::QConfigMapping(of_bf16), Method::WeightOnly);
  EXPECT_EQ(test::op_of<runtime::HybridProduct>(all_rounded.model, "fc1").input, DType::BF16);
  EXPECT_EQ(test::op_of<runtime::HybridProduct>(all_rounded.model, "depthwise").input, DType::F32) << "few outputs";
}

TEST(Hybrid, IsTheSameModelBackFromItsFile) {
  const nn::Graph net = net_of(4);
  const Tensor images = test::random_images({12, 12, 3}, 9, 3, -1.0F, 1.0F);
  for (const Method method : {Method::Dynamic, Method::WeightOnly, Method::Bf16}) {
    const runtime::Model model = quantize_hybrid(net, mapping_of("int4 per-group 4"), method).model;
    const Tensor before = test::infer(model, images), after = test::infer(test::through_file(model), images);
    EXPECT_EQ(std::memcmp(before.raw(), after.raw(), before.bytes()), 0);
  }
}

class Quiet : public evaluation::Reporter {};

TEST(Hybrid, DynamicLayersAreVerifiedAgainstTheReference) {
  const nn::Graph net = net_of(5);
  const data::Dataset dataset{.name = "random",
                              .examples = test::random_images({12, 12, 3}, 20, 3),
                              .labels = test::random_labels(20, 5, 1),
                              .classes = 5};
  Quiet quiet;
  const runtime::Model dynamic = quantize_hybrid(net, mapping_of("int8"), Method::Dynamic).model;
  const evaluation::VerifyReport report = evaluation::verify_hybrid(dynamic, dataset, {}, quiet);
  EXPECT_TRUE(report.passed()) << evaluation::to_text(report);
  EXPECT_EQ(report.images, 20);
  EXPECT_EQ(report.layers.size(), 6U);
  EXPECT_EQ(report.layers[0].name, "conv1");
  EXPECT_EQ(report.layers[0].codes_compared, 20 * 12 * 12 * 8);
  const runtime::Model weight_only = quantize_hybrid(net, mapping_of("int8"), Method::WeightOnly).model;
  EXPECT_TRUE(evaluation::verify_hybrid(weight_only, dataset, {}, quiet).layers.empty());
}

TEST(Hybrid, RefusesWhatItCannotDo) {
  nn::Graph net = net_of(6);
  const auto error_with = [&](const quant::QConfigMapping& mapping, Method method) {
    return error_of([&] { quantize_hybrid(net, mapping, method); });
  };
  EXPECT_THAT(error_with(mapping_of("int8", "uint8 mse"), Method::Dynamic),
              HasSubstr("conv1: activations: dynamic quantization takes the range of each example as it is"));
  EXPECT_EQ(error_with(mapping_of("int8", "uint8 mse"), Method::WeightOnly), "no error");
  EXPECT_THAT(error_with(mapping_of("int8 affine"), Method::WeightOnly), HasSubstr("affine weights"));
  EXPECT_THAT(error_with(mapping_of("int8").set_name("fc9", std::nullopt), Method::Dynamic),
              HasSubstr("dynamic quantization: 'fc9' names no module"));
  EXPECT_THAT(error_of([&] { quant::prepare(net, mapping_of("int8")); }),
              HasSubstr("expected one scale, got per-token; ranges a token are of dynamic quantization"));
  nn::Graph prepared = quant::prepare(net, quant::QConfigMapping());
  EXPECT_THAT(error_of([&] { quantize_hybrid(prepared, mapping_of("int8"), Method::Dynamic); }),
              HasSubstr("is of a prepared graph"));
}

TEST(Hybrid, PerTokenIsAGranularityOfActivations) {
  const quant::QuantizerSpec spec = quant::parse_activation_quantizer("uint8 per-token affine");
  EXPECT_TRUE(spec.is_per_token());
  EXPECT_EQ(quant::to_text(spec), "uint8 per-token affine");
  EXPECT_EQ(quant::parse_granularity("per-token"), quant::Granularity(quant::PerToken{}));
  quant::QConfig config;
  config.weight = quant::parse_weight_quantizer("int8 per-token");
  EXPECT_THAT(error_of([&] { config.validate(); }), HasSubstr("weights: per-token is for activations"));
}

}  // namespace
}  // namespace detent::hybrid_test
