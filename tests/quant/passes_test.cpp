#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/quant/kinds/qat_product.h"
#include "tests/quant/qat_fixture.h"

namespace detent::passes_test {
namespace {

using testing::HasSubstr;

std::vector<std::string> kinds_of(const nn::Graph& graph) {
  std::vector<std::string> kinds;
  for (const nn::Graph::Node& node : graph.nodes()) {
    if (node.module) {
      kinds.push_back(node.name + ":" + std::string(node.module->kind()));
    }
  }
  return kinds;
}

std::vector<std::string> ops_of(const runtime::Model& model) {
  std::vector<std::string> ops;
  for (const runtime::Node& node : model.nodes) {
    ops.push_back(node.name + ":" + std::string(name_of(node.op)) + (node.output.is_codes() ? ":u8" : ""));
  }
  return ops;
}

nn::Graph initialized(nn::Graph net) {
  net.initialize(1);
  return net;
}

nn::Graph calibrated(const nn::Graph& net, const quant::QConfigMapping& mapping) {
  nn::Graph prepared = quant::prepare(net, mapping);
  test::infer(prepared, test::random_images(net.input_shape(), 16, 3, -1.0F, 1.0F));
  quant::freeze_observers(prepared);
  return prepared;
}

TEST(Prepare, FusesAndPutsInWhatConverts) {
  const nn::Graph net = initialized(test::everything_net());
  EXPECT_EQ(
      kinds_of(quant::prepare_qat(net, quant::QConfigMapping().set_name("sigmoid", std::nullopt))),
      (std::vector<std::string>{
          "input_quantize:quantize", "conv1:qat_conv2d", "depthwise:qat_conv2d", "depthwise_dequantize:dequantize",
          "sigmoid:activation", "sigmoid_quantize:quantize", "pointwise:qat_conv2d", "residual:qat_add",
          "average:qat_avg_pool2d", "conv2:qat_conv2d", "max:max_pool2d", "relu3:code_relu", "flatten1:flatten",
          "dropout:code_dropout", "fc1:qat_linear", "fc2:qat_linear", "fc2_dequantize:dequantize"}));
}

TEST(Prepare, PutsAnyActivationOnCodes) {
  const std::vector<std::string> kinds =
      kinds_of(quant::prepare_qat(initialized(test::everything_net()), quant::QConfigMapping()));
  EXPECT_THAT(kinds, testing::Contains("sigmoid:qat_activation"));
  EXPECT_THAT(kinds, testing::Not(testing::Contains("depthwise_dequantize:dequantize")));
}

TEST(Convert, MakesIntegersOfAllButWhatIsKeptInFloat) {
  const nn::Graph prepared =
      calibrated(initialized(test::everything_net()), quant::QConfigMapping().set_name("sigmoid", std::nullopt));
  const quant::Converted converted = quant::convert(prepared);
  EXPECT_EQ(
      ops_of(converted.model),
      (std::vector<std::string>{"input_quantize:quantize:u8", "conv1:product:u8", "depthwise:product:u8",
                                "depthwise_dequantize:dequantize", "sigmoid:activation", "sigmoid_quantize:quantize:u8",
                                "pointwise:product:u8", "residual:add:u8", "average:pool:u8", "conv2:product:u8",
                                "max:pool:u8", "relu3:lookup:u8", "flatten1:reshape:u8", "fc1:product:u8",
                                "fc2:product:u8", "fc2_dequantize:dequantize"}));
  std::vector<std::string> kinds;
  for (const quant::LedgerRow& row : converted.ledger) {
    kinds.push_back(row.kind);
  }
  EXPECT_EQ(kinds,
            (std::vector<std::string>{"quantize", "int8_conv2d", "int8_conv2d", "dequantize", "activation", "quantize",
                                      "int8_conv2d", "int8_add", "int8_avg_pool2d", "int8_conv2d", "max_pool2d",
                                      "code_relu", "flatten", "int8_linear", "int8_linear", "dequantize"}));
  for (const quant::LedgerRow& row : converted.ledger) {
    EXPECT_EQ(row.precision, row.name == "sigmoid" ? "float" : "int8") << row.name;
    EXPECT_FALSE(row.is_unasked_float) << row.name;
  }
  EXPECT_EQ(error_of([&] { quant::check_strict(converted.ledger); }), "no error");
  EXPECT_THAT(quant::to_text(converted.ledger),
              HasSubstr("u8 x s8 per channel, batch norm folded, relu fused, sums of "));
}

TEST(Convert, SaysWhereSumsMayPass24Bits) {
  nn::Graph net;
  net.output(net.linear(net.flatten(net.input({4096})), {.out_features = 2, .name = "wide"}));
  net.initialize(1);
  const quant::Converted converted = quant::convert(calibrated(net, quant::QConfigMapping()));
  const auto row = std::ranges::find(converted.ledger, "wide", &quant::LedgerRow::name);
  EXPECT_GT(row->sum_bound, 1 << 24);
  EXPECT_THAT(row->reason, HasSubstr("bits, which may pass 2^24"));
}

TEST(Convert, RefusesWhatIsNotFrozen) {
  nn::Graph qat = quant::prepare_qat(initialized(test::plain_net()), quant::QConfigMapping());
  EXPECT_THAT(error_of([&] { quant::freeze_observers(qat); }),
              HasSubstr("input_quantize: freeze: no range was observed"));
  test::train_step(qat, test::random_images({8, 8, 1}, 4, 1), test::random_labels(4, 3, 1), 0.1F);
  EXPECT_THAT(error_of([&] { quant::convert(qat); }), HasSubstr("input_quantize still observes its range"));
}

TEST(Prepare, LeavesTheFloatGraphAlone) {
  nn::Graph net = initialized(test::everything_net());
  const Tensor images = test::random_images({12, 12, 3}, 4, 9);
  const Tensor before = test::infer(net, images).clone();
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  test::train_step(qat, images, test::random_labels(4, 5, 2), 0.5F);
  const Tensor after = test::infer(net, images);
  EXPECT_EQ(std::memcmp(before.raw(), after.raw(), before.bytes()), 0);
}

TEST(Prepare, QuantizesTheInputBeforeALeadingFlatten) {
  nn::Graph net;
  net.output(net.linear(net.flatten(net.input({4, 4, 1})), {.out_features = 2, .name = "fc"}));
  net.initialize(1);
  EXPECT_EQ(kinds_of(quant::prepare_qat(net, quant::QConfigMapping())),
            (std::vector<std::string>{"input_quantize:quantize", "flatten1:flatten", "fc:qat_linear",
                                      "fc_dequantize:dequantize"}));
}

TEST(Prepare, KeepsInFloatWhatTheMappingSays) {
  const nn::Graph net = initialized(test::plain_net());
  quant::QConfigMapping mapping;
  mapping.set_name("conv", std::nullopt);
  const nn::Graph prepared = calibrated(net, mapping);
  EXPECT_EQ(kinds_of(prepared),
            (std::vector<std::string>{"conv:conv2d", "relu1:activation", "pool:max_pool2d", "flatten1:flatten",
                                      "flatten1_quantize:quantize", "fc:qat_linear", "fc_dequantize:dequantize"}));
  const quant::Converted converted = quant::convert(prepared);
  EXPECT_EQ(error_of([&] { quant::check_strict(converted.ledger); }), "no error")
      << "what was asked for is not unasked";
  EXPECT_THAT(error_of([&] { quant::prepare(net, quant::QConfigMapping().set_pattern("conv9*", std::nullopt)); }),
              HasSubstr("'conv9*' names no module; did you mean 'conv'? the modules are: conv relu1 pool flatten1 fc"));
}

TEST(QConfigMapping, TheMostParticularRuleWins) {
  quant::QConfig four;
  four.weight.grid.bits = 4;
  quant::QConfig three;
  three.weight.grid.bits = 3;
  quant::QConfigMapping mapping;
  mapping.set_kind("linear", std::nullopt)
      .set_pattern("fc*", four)
      .set_pattern("*9", std::nullopt)
      .set_name("fc3", three);
  EXPECT_EQ(mapping.lookup("conv1", "conv2d"), quant::QConfig{});
  EXPECT_EQ(mapping.lookup("head", "linear"), std::nullopt);
  EXPECT_EQ(mapping.lookup("fc1", "linear"), four);
  EXPECT_EQ(mapping.lookup("fc9", "linear"), std::nullopt) << "the last matching pattern";
  EXPECT_EQ(mapping.lookup("fc3", "linear"), three);
}

TEST(QConfig, ReadsWhatRecipesSay) {
  EXPECT_EQ(quant::parse_weight_quantizer("int8 per-channel symmetric"), quant::int8_weights());
  const quant::QuantizerSpec four = quant::parse_weight_quantizer("per-tensor int4");
  EXPECT_EQ(four.grid.bits, 4);
  EXPECT_EQ(four.granularity, quant::Granularity(quant::PerTensor{}));
  EXPECT_EQ(quant::parse_activation_quantizer("uint8 per-tensor affine"), quant::uint8_activations());
  EXPECT_THAT(error_of([] { quant::parse_weight_quantizer("int9"); }), HasSubstr("expected 1 to 8 bits, got 9"));
  EXPECT_THAT(error_of([] { quant::parse_weight_quantizer("float8"); }),
              HasSubstr("'float8' in 'float8' is not understood"));
  EXPECT_THAT(error_of([] { quant::parse_weight_quantizer("symmetric"); }), HasSubstr("does not say the type"));
  EXPECT_THAT(error_of([] { quant::parse_activation_quantizer("uint8 per-channel"); }),
              HasSubstr("activations have one scale"));
  quant::QConfig affine;
  affine.weight.scheme = Scheme::Affine;
  EXPECT_THAT(error_of([&] { affine.validate(); }), HasSubstr("write weights = \"int8 per-channel symmetric\""));
  affine.weight = quant::parse_weight_quantizer("uint4");
  EXPECT_THAT(error_of([&] { affine.validate(); }), HasSubstr("write weights = \"int4 per-channel symmetric\""));
}

TEST(QConfig, TextsSayEveryChoice) {
  const quant::QuantizerSpec percentile = quant::parse_activation_quantizer("percentile 99.9 uint4");
  EXPECT_EQ(percentile.range, (quant::RangeSpec{"percentile", {99.9}}));
  EXPECT_EQ(quant::to_text(percentile), "uint4 per-tensor affine percentile 99.9");
  for (const char* const text : {"int8 per-channel symmetric", "int4 per-tensor symmetric percentile 99.5",
                                 "int2 per-channel symmetric fixed -0.5 0.25", "int8 per-channel symmetric min-max",
                                 "int1 per-channel symmetric", "int1 per-tensor symmetric percentile 99",
                                 "ternary per-group 32 symmetric power-of-two"}) {
    EXPECT_EQ(quant::to_text(quant::parse_weight_quantizer(text)), text);
    EXPECT_EQ(quant::to_text(quant::parse_weight_quantizer(std::string(text) + " straight-through")), text);
  }
}

TEST(QConfig, ErrorsNameTheWordTheNearestAndACorrectedText) {
  EXPECT_EQ(
      error_of([] { quant::parse_weight_quantizer("int4 per-chanel symmetric"); }),
      "weights: 'per-chanel' in 'int4 per-chanel symmetric' is not understood; the nearest word is 'per-channel'; "
      "write for example \"int4 per-channel symmetric\"");
  EXPECT_EQ(error_of([] { quant::parse_activation_quantizer("uint8 percentil 99.9"); }),
            "activations: 'percentil' in 'uint8 percentil 99.9' is not understood; the nearest word is 'percentile'; "
            "write for example \"uint8 percentile 99.9\"");
  EXPECT_EQ(error_of([] { quant::parse_activation_quantizer("uint8 percentile 20"); }),
            "activations: range rule: 'percentile 20': expected a number above 50 and at most 100, got 20; write for "
            "example percentile 99.9");
  EXPECT_THAT(error_of([] { quant::parse_activation_quantizer("uint8 percentile"); }),
              HasSubstr("expected 1 numbers; write for example percentile 99.9"));
  EXPECT_THAT(error_of([] { quant::parse_weight_quantizer("int8 per-tensor 3"); }),
              HasSubstr("'per-tensor 3': expected 0 numbers behind 'per-tensor', got 1"));
  EXPECT_THAT(error_of([] { quant::parse_weight_quantizer("8 int8"); }), HasSubstr("begins with a number"));
}

TEST(Patterns, StarStandsForAnyText) {
  EXPECT_TRUE(quant::matches("conv*", "conv1"));
  EXPECT_TRUE(quant::matches("*", ""));
  EXPECT_TRUE(quant::matches("a*b*c", "aXbbYc"));
  EXPECT_FALSE(quant::matches("a*b*c", "aXbbY"));
  EXPECT_FALSE(quant::matches("conv", "conv1"));
}

}  // namespace
}  // namespace detent::passes_test
