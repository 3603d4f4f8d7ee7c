// What an ONNX model gives once it is imported: numbers by hand, in the order of the format.
#include "tests/interchange/onnx_models.h"

#include <gmock/gmock.h>

#include <cmath>

#include "detent/nn/modules/batch_norm.h"
#include "tests/error_of.h"

namespace detent::onnx::onnx_import_test {
namespace {

using testing::ElementsAre;
using testing::FloatNear;
using testing::HasSubstr;
using testing::Pointwise;

MATCHER(NearlyEqual, "") {
  return std::fabs(std::get<0>(arg) - std::get<1>(arg)) <= 1e-5F * (1.0F + std::fabs(std::get<1>(arg)));
}

TEST(OnnxImport, ConvolutionTurnsWeightsAndImages) {
  // Two channels of 1 x 2 pixels; a window of 1 x 2. x in the order of Detent: H W C.
  Making making({2, 1, 2});
  making.reals("c.weight", {1, 2, 1, 2}, {1, 10, 100, 1000}).reals("b", {1}, {0.5F});
  making.node("Conv", {"x", "c.weight", "b"}, "y");
  const Imported imported = import_graph(making.model);
  EXPECT_TRUE(imported.graph.find("c"));
  // Pixel 0 has the channels 1, 2, pixel 1 the channels 3, 4: 1 * 1 + 3 * 10 + 2 * 100 + 4 * 1000 + 0.5.
  EXPECT_THAT(outputs_of(imported.graph, {1, 2, 3, 4}), ElementsAre(4231.5F));
}

TEST(OnnxImport, FlattenKeepsTheOrderOfTheFormatInTheWeightsBehindIt) {
  Making making({2, 1, 2});
  making.reals("w", {4, 1}, {1, 10, 100, 1000});
  making.node("Flatten", {"x"}, "flat").node("Relu", {"flat"}, "r").node("MatMul", {"r", "w"}, "y");
  // The format's row is c0p0 c0p1 c1p0 c1p1 = 1 3 2 4.
  EXPECT_THAT(imported_outputs(making, {1, 2, 3, 4}), ElementsAre(1 + 30 + 200 + 4000));
}

TEST(OnnxImport, ConcatenatedRowsOfImagesKeepTheirOrder) {
  Making making({2, 1, 2});
  making.reals("w", {8, 1}, {1, 10, 100, 1000, 2, 20, 200, 2000});
  making.node("Flatten", {"x"}, "a").node("Relu", {"x"}, "r").node("Flatten", {"r"}, "b");
  making.node("Concat", {"a", "b"}, "ab", {{"axis", std::int64_t{1}}}).node("MatMul", {"ab", "w"}, "y");
  EXPECT_THAT(imported_outputs(making, {1, 2, 3, 4}), ElementsAre(3 * (1 + 30 + 200 + 4000)));
}

TEST(OnnxImport, ABatchNormOfAFlattenedImageIsInItsOrder) {
  Making making({2, 1, 2});
  making.reals("s", {4}, {1, 1, 1, 1}).reals("b", {4}, {10, 20, 30, 40});
  making.reals("m", {4}, {0, 0, 0, 0}).reals("v", {4}, {1, 1, 1, 1}).reals("w", {4, 1}, {1, 10, 100, 1000});
  making.node("Flatten", {"x"}, "flat");
  making.node("BatchNormalization", {"flat", "s", "b", "m", "v"}, "n", {{"epsilon", 1e-9F}});
  making.node("MatMul", {"n", "w"}, "y");
  const float expected = 11 + 10 * 23 + 100 * 32 + 1000 * 44;
  EXPECT_THAT(imported_outputs(making, {1, 2, 3, 4}), ElementsAre(FloatNear(expected, 0.1F)));
}

TEST(OnnxImport, GemmScalesItsPartsAndMatMulTakesTheSumBehindIt) {
  Making gemm({2});
  gemm.reals("w", {2, 2}, {1, 2, 3, 4}).reals("b", {2}, {10, 20});
  gemm.node("Gemm", {"x", "w", "b"}, "y", {{"transB", std::int64_t{1}}, {"alpha", 2.0F}, {"beta", 0.5F}});
  EXPECT_THAT(imported_outputs(gemm, {1, 1}), ElementsAre(11, 24));
  Making product({2});
  product.reals("w", {2, 2}, {1, 2, 3, 4}).reals("b", {1, 2}, {10, 20});
  product.node("MatMul", {"x", "w"}, "p").node("Add", {"b", "p"}, "y");
  const Imported imported = import_graph(product.model);
  EXPECT_THAT(outputs_of(imported.graph, {1, 1}), ElementsAre(14, 26));
  EXPECT_EQ(imported.graph.nodes().size(), 2U) << "the sum is the bias";
}

TEST(OnnxImport, AutoPadPutsTheLargerHalfWhereTheFormatSays) {
  for (const auto& [mode, expected] : std::vector<std::pair<std::string, std::vector<float>>>{
           {"SAME_UPPER", {12, 23, 34, 4}}, {"SAME_LOWER", {1, 12, 23, 34}}, {"VALID", {12, 23, 34}}}) {
    Making making({1, 1, 4});
    making.reals("w", {1, 1, 1, 2}, {10, 1});
    making.node("Conv", {"x", "w"}, "y", {{"auto_pad", mode}});
    std::vector<float> shifted = expected;
    if (mode == "SAME_UPPER") {
      shifted.back() = 40;  // its right neighbour is padding
    }
    EXPECT_EQ(imported_outputs(making, {1, 2, 3, 4}), shifted) << mode;
  }
}

TEST(OnnxImport, APaddingBeforeAConvolutionIsItsOwn) {
  Making making({1, 1, 2});
  making.reals("w", {1, 1, 1, 2}, {10, 1}).wholes("pads", {0, 0, 0, 1, 0, 0, 0, 1});
  making.node("Pad", {"x", "pads"}, "p").node("Conv", {"p", "w"}, "y");
  EXPECT_THAT(imported_outputs(making, {1, 2}), ElementsAre(1, 12, 20));
}

TEST(OnnxImport, GroupsStridesAndDilations) {
  Making making({2, 1, 5});
  making.reals("w", {2, 1, 1, 2}, {1, 10, 100, 1000});
  making.node("Conv", {"x", "w"}, "y",
              {{"group", std::int64_t{2}}, {"strides", Numbers{1, 2}}, {"dilations", Numbers{1, 2}}});
  // Channel 0 is 1 2 3 4 5, channel 1 is 6 7 8 9 10.
  EXPECT_THAT(imported_outputs(making, {1, 6, 2, 7, 3, 8, 4, 9, 5, 10}),
              ElementsAre(1 + 30, 600 + 8000, 3 + 50, 800 + 10000));
}

TEST(OnnxImport, PoolsAndMeansOfImages) {
  Making pool({1, 1, 5});
  pool.node("MaxPool", {"x"}, "y",
            {{"kernel_shape", Numbers{1, 2}}, {"strides", Numbers{1, 2}}, {"ceil_mode", std::int64_t{1}}});
  EXPECT_THAT(imported_outputs(pool, {1, 2, 4, 3, 5}), ElementsAre(2, 4, 5));
  Making mean({2, 1, 2}, 18);
  mean.wholes("axes", {-1, -2});
  mean.node("ReduceMean", {"x", "axes"}, "m").node("Squeeze", {"m", "axes"}, "y");
  EXPECT_THAT(imported_outputs(mean, {1, 2, 3, 4}), ElementsAre(2, 3));
  Making pixel({2, 1, 2});
  pixel.reals("w", {1, 2, 1, 1}, {1, 10});
  pixel.node("GlobalAveragePool", {"x"}, "m").node("Conv", {"m", "w"}, "c").node("Flatten", {"c"}, "y");
  EXPECT_THAT(imported_outputs(pixel, {1, 2, 3, 4}), ElementsAre(32));
}

TEST(OnnxImport, ShapesMayBeComputedFromTheBatch) {
  Making making({2, 1, 2});
  making.reals("w", {4, 1}, {1, 10, 100, 1000}).wholes("rest", {-1});
  making.model.initializers.push_back(Array::of("zero", {}, Numbers{0}));
  making.wholes("axis", {0});
  making.node("Shape", {"x"}, "shape").node("Gather", {"shape", "zero"}, "n").node("Unsqueeze", {"n", "axis"}, "n1");
  making.node("Concat", {"n1", "rest"}, "to", {{"axis", std::int64_t{0}}}).node("Reshape", {"x", "to"}, "flat");
  making.node("MatMul", {"flat", "w"}, "y");
  EXPECT_THAT(imported_outputs(making, {1, 2, 3, 4}), ElementsAre(4231));
}

TEST(OnnxImport, ImagesWithTheChannelLastAreTakenAsTheyAre) {
  Making making({1, 2, 2});  // H W C, turned to C H W by the model
  making.reals("w", {1, 2, 1, 1}, {1, 10});
  making.node("Transpose", {"x"}, "t", {{"perm", Numbers{0, 3, 1, 2}}}).node("Conv", {"t", "w"}, "c");
  making.node("Transpose", {"c"}, "y", {{"perm", Numbers{0, 2, 3, 1}}});
  const Imported imported = import_graph(making.model);
  EXPECT_EQ(imported.graph.input_shape(), (Shape{1, 2, 2}));
  EXPECT_THAT(outputs_of(imported.graph, {1, 2, 3, 4}), ElementsAre(21, 43));
}

/// The kinds and functions of a graph's modules, in order.
std::vector<std::string> labels(const nn::Graph& graph) {
  std::vector<std::string> result;
  for (const nn::Graph::Node& node : graph.nodes()) {
    if (node.module) {
      result.emplace_back(node.module->label());
    }
  }
  return result;
}

TEST(OnnxImport, FunctionsInPartsAreOneModule) {
  Making gelu({1});
  gelu.reals("root", {}, {1.41421354F}).reals("one", {}, {1}).reals("half", {}, {0.5F});
  gelu.node("Div", {"x", "root"}, "a").node("Erf", {"a"}, "b").node("Add", {"b", "one"}, "c");
  gelu.node("Mul", {"x", "c"}, "d").node("Mul", {"d", "half"}, "y");
  EXPECT_THAT(labels(import_graph(gelu.model).graph), ElementsAre("gelu"));

  Making swish({1});
  swish.reals("three", {}, {3}).reals("zero", {}, {0}).reals("six", {}, {6});
  swish.node("Add", {"x", "three"}, "a").node("Clip", {"a", "zero", "six"}, "b").node("Mul", {"x", "b"}, "c");
  swish.node("Div", {"c", "six"}, "y");
  EXPECT_THAT(labels(import_graph(swish.model).graph), ElementsAre("hard_swish"));

  Making gate({1});
  gate.node("HardSigmoid", {"x"}, "g", {{"alpha", 1.0F / 6.0F}}).node("Mul", {"g", "x"}, "y");
  EXPECT_THAT(labels(import_graph(gate.model).graph), ElementsAre("hard_swish"));

  Making silu({1});
  silu.node("Relu", {"x"}, "r").node("Sigmoid", {"r"}, "g").node("Mul", {"r", "g"}, "y");
  EXPECT_THAT(labels(import_graph(silu.model).graph), ElementsAre("relu", "silu"));

  Making scaled({2});
  scaled.reals("by", {}, {255}).reals("one", {}, {1});
  scaled.node("Div", {"x", "by"}, "a").node("Sub", {"a", "one"}, "y");
  const Imported imported = import_graph(scaled.model);
  EXPECT_THAT(labels(imported.graph), ElementsAre("batch_norm"));
  EXPECT_THAT(outputs_of(imported.graph, {255, 0}), Pointwise(NearlyEqual(), std::vector<float>{0, -1}));
}

TEST(OnnxImport, ASumOfAValueAndItsFunctionIsASum) {
  Making making({1});
  making.node("Sigmoid", {"x"}, "s").node("Add", {"x", "s"}, "y");
  const Imported imported = import_graph(making.model);
  EXPECT_THAT(labels(imported.graph), ElementsAre("sigmoid", "add"));
  EXPECT_THAT(outputs_of(imported.graph, {0}), ElementsAre(0.5F));
}

TEST(OnnxImport, AConstantAChannelIsABatchNorm) {
  Making making({2, 1, 2});
  making.reals("c", {2, 1, 1}, {2, 4}).node("Mul", {"x", "c"}, "y");
  EXPECT_THAT(imported_outputs(making, {1, 2, 3, 4}), Pointwise(NearlyEqual(), std::vector<float>{2, 8, 6, 16}));
}

TEST(OnnxImport, CodesOfWeightsAreWhatTheyMean) {
  Making making({2});
  Array codes{.name = "q", .type = ElementType::S8, .dims = {2, 2}};
  for (const int code : {1, -2, 3, 4}) {
    codes.bytes.push_back(static_cast<std::byte>(code));
  }
  making.model.initializers.push_back(codes);
  making.reals("s", {2}, {0.5F, 0.25F}).reals("one", {}, {1});
  making.node("DequantizeLinear", {"q", "s"}, "w", {{"axis", std::int64_t{0}}});
  making.node("QuantizeLinear", {"x", "one"}, "xq").node("DequantizeLinear", {"xq", "one"}, "xr");
  making.node("Gemm", {"xr", "w"}, "y", {{"transB", std::int64_t{1}}});
  const Imported imported = import_graph(making.model);
  EXPECT_THAT(outputs_of(imported.graph, {1, 10}), ElementsAre(0.5F - 10, 0.75F + 10));
  EXPECT_THAT(imported.remarks, ElementsAre(HasSubstr("it was quantized in the file (2 operations)")));
}

TEST(OnnxImport, RowsMayBeImages) {
  Making making({4});
  making.reals("w", {4, 1}, {1, 10, 100, 1000}).node("MatMul", {"x", "w"}, "y");
  const Imported imported = import_graph(making.model, {.image = Shape{2, 2, 1}});
  EXPECT_EQ(imported.graph.input_shape(), (Shape{2, 2, 1}));
  EXPECT_THAT(outputs_of(imported.graph, {1, 2, 3, 4}), ElementsAre(4321));
  EXPECT_EQ(error_of([&] {
              import_graph(making.model, {.image = Shape{3, 2, 1}});
            }),
            "it takes examples of [4], which are no flattened images [3, 2, 1]");
}

TEST(OnnxImport, OneOfSeveralOutputsIsChosen) {
  Making making({2});
  making.node("Relu", {"x"}, "y").node("Sigmoid", {"x"}, "z").node("ArgMax", {"z"}, "label");
  making.model.outputs = {{.name = "label"}, {.name = "z"}};
  EXPECT_EQ(error_of([&] { import_graph(making.model); }),
            "it has the outputs label, z, and Detent's models have one; choose it with --result label");
  EXPECT_EQ(error_of([&] { import_graph(making.model, {.output = "w"}); }),
            "it has no output 'w', and no operation gives it; it has label, z");
  const Imported imported = import_graph(making.model, {.output = "z"});
  EXPECT_THAT(labels(imported.graph), ElementsAre("sigmoid"));
  EXPECT_THAT(imported.remarks, ElementsAre("2 operations on which the output does not depend were left out"));
}

TEST(OnnxImport, AllThatCannotBeImportedIsNamedAtOnce) {
  Making making({4});
  making.reals("w", {3, 2}, {1, 2, 3, 4, 5, 6});
  making.node("LSTM", {"x"}, "a").node("Relu", {"a"}, "b").node("MatMul", {"x", "w"}, "c");
  making.node("LSTM", {"x"}, "d").node("Concat", {"b", "c", "d"}, "y", {{"axis", std::int64_t{1}}});
  EXPECT_EQ(error_of([&] { import_graph(making.model); }),
            "cannot be imported for 3 operations; LSTM '/a/LSTM', '/d/LSTM': Detent has no such operation; it would "
            "take a module of that kind (docs/extending.md); MatMul '/c/MatMul': its weights 'w' are for rows of 3, it "
            "gets rows of 4");
}

TEST(OnnxImport, WhatItCannotMeanIsRefused) {
  const auto refusal = [](Making making) { return error_of([&] { import_graph(making.model); }); };
  EXPECT_THAT(refusal(Making({2}).node("Relu", {"z"}, "z")), HasSubstr("depends on no input"));
  EXPECT_THAT(refusal(Making({2}).node("Add", {"z", "x"}, "y").node("Relu", {"y"}, "z")),
              HasSubstr("its input 'z' is given by no operation before it"));
  EXPECT_THAT(refusal(Making({2}).node("Relu", {"x"}, "y").node("Tanh", {"x"}, "y")),
              HasSubstr("two operations give 'y'"));
  EXPECT_THAT(refusal(Making({2}, 9).node("Relu", {"x"}, "y")), HasSubstr("it uses opset 9; expected 11 or newer"));
  EXPECT_THAT(refusal(Making({-1, 3}).node("Relu", {"x"}, "y")), HasSubstr("only the first extent"));
  EXPECT_THAT(refusal(Making({2, 2, 2}).node("Flatten", {"x"}, "y")), HasSubstr("without the flatten at its end"));
  EXPECT_THAT(refusal(Making({4}).wholes("to", {2, -1}).node("Reshape", {"x", "to"}, "y")),
              HasSubstr("mixes examples"));
  EXPECT_THAT(refusal(Making({2}).node("Exp", {"x"}, "y")), HasSubstr("a function of one value that Detent does not"));
  EXPECT_THAT(refusal(Making({2}).reals("s", {}, {1}).node("DequantizeLinear", {"x", "s"}, "y")),
              HasSubstr("dequantizes what is no value of QuantizeLinear"));
  EXPECT_THAT(refusal(Making({2}).reals("s", {}, {1}).node("QuantizeLinear", {"x", "s"}, "q").node("Relu", {"q"}, "y")),
              HasSubstr("its input 'q' is of codes; expected real numbers"));
  Making dropping({2});
  dropping.model.initializers.push_back({.name = "yes", .type = ElementType::Bool, .bytes = {std::byte{1}}});
  EXPECT_THAT(refusal(dropping.reals("p", {}, {0.5F}).node("Dropout", {"x", "p", "yes"}, "y")),
              HasSubstr("it drops values in inference, too"));
  EXPECT_THAT(refusal(Making({2}).node("LogSoftmax", {"x"}, "y")), HasSubstr("the same class wins"));
  EXPECT_THAT(refusal(Making({1}).reals("w", {1, 1}, {NAN}).node("MatMul", {"x", "w"}, "y")),
              HasSubstr("expected a finite number, got nan"));
  EXPECT_THAT(refusal(Making({1, 2, 2}).node("AveragePool", {"x"}, "y",
                                             {{"kernel_shape", Numbers{2, 2}}, {"pads", Numbers{1, 1, 1, 1}}})),
              HasSubstr("leaves the padding out"));
}

/// A row of so many operations, each on what the one before it gives.
Making row_of(int count, const std::string& op, std::size_t arity) {
  Making making({1});
  std::string last = "x";
  for (int i = 0; i < count; ++i) {
    std::string next = "y";
    if (i + 1 < count) {
      next.append(std::to_string(i));
    }
    making.node(op, std::vector<std::string>(arity, last), next);
    last = next;
  }
  return making;
}

TEST(OnnxImport, ManyFunctionsOfFunctionsEnd) {
  EXPECT_THAT(error_of([] { import_graph(row_of(200, "Mul", 2).model); }), HasSubstr("cannot be imported"));
  EXPECT_EQ(import_graph(row_of(200, "Tanh", 1).model).graph.nodes().size(), 201U);
}

}  // namespace
}  // namespace detent::onnx::onnx_import_test
