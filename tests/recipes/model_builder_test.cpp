#include "detent/recipes/model_builder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "detent/core/error.h"

namespace detent::recipes::model_builder_test {
namespace {

ModelSection layers(const std::vector<std::string>& lines) {
  std::string text = "[model]\nlayers = [\n";
  for (const std::string& line : lines) {
    text += "\"" + line + "\",\n";
  }
  return parse_recipe(text + "]\n", "r.toml").model;
}

nn::Graph build(const std::vector<std::string>& lines, const Shape& input = {28, 28, 1}) {
  return build_model(layers(lines), input, 10);
}

std::string error_of(const std::vector<std::string>& lines, const Shape& input = {28, 28, 1}) {
  try {
    build(lines, input);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

std::vector<std::string> names_of(const nn::Graph& graph) {
  std::vector<std::string> names;
  for (const nn::Graph::Node& node : graph.nodes()) {
    names.push_back(node.name);
  }
  return names;
}

TEST(ModelBuilder, NumbersLayersByOperation) {
  const nn::Graph graph = build({"conv 32 3x3", "relu", "conv 64 3x3", "batchnorm", "relu6", "maxpool 2", "flatten",
                                 "linear 128", "gelu", "dropout 0.25", "linear 10"});
  EXPECT_EQ(names_of(graph), (std::vector<std::string>{"input", "conv1", "relu1", "conv2", "bn1", "relu2", "pool1",
                                                       "flatten1", "fc1", "gelu1", "drop1", "fc2"}));
  EXPECT_EQ(graph.node("conv1").shape, (Shape{26, 26, 32}));
  EXPECT_EQ(graph.node("pool1").shape, (Shape{12, 12, 64}));
  EXPECT_EQ(graph.output_shape(), (Shape{10}));
  // 32 * 9 + 32, 64 * 9 * 32 + 64, two a channel, 128 * 9216 + 128, 1290
  EXPECT_EQ(graph.parameter_count(), 320 + 18496 + 128 + 1179776 + 1290);
}

TEST(ModelBuilder, ReadsEveryOption) {
  const nn::Graph graph = build({"a: conv 8 5x5 stride 2 pad 1 dilation 2 groups 1 nobias", "b: depthwise 3x3 same",
                                 "conv 16 3 same", "bn: batchnorm noaffine eps 1e-4 momentum 0.2", "leaky_relu 0.1",
                                 "avgpool 3x3 stride 2 pad 1", "gap", "linear 10 nobias"});
  const auto& a = dynamic_cast<const nn::Conv2d&>(*graph.node("a").module).settings();
  EXPECT_EQ(a.stride, 2);
  EXPECT_EQ(a.padding, 1);
  EXPECT_EQ(a.dilation, 2);
  EXPECT_FALSE(a.bias);
  const auto& b = dynamic_cast<const nn::Conv2d&>(*graph.node("b").module).settings();
  EXPECT_EQ(b.groups, 8);
  EXPECT_EQ(b.out_channels, 8);
  EXPECT_EQ(graph.node("b").shape, graph.node("a").shape);
  const auto& bn = dynamic_cast<const nn::BatchNorm&>(*graph.node("bn").module).settings();
  EXPECT_FALSE(bn.affine);
  EXPECT_EQ(bn.epsilon, 1e-4);
  EXPECT_EQ(bn.momentum, 0.2);
  EXPECT_EQ(dynamic_cast<const nn::ActivationLayer&>(*graph.node("relu1").module).settings().slope, 0.1);
  const auto& pool = dynamic_cast<const nn::AvgPool2d&>(*graph.node("pool1").module).settings();
  EXPECT_EQ(pool.kernel, 3);
  EXPECT_EQ(pool.stride, 2);
  EXPECT_EQ(pool.padding, 1);
  EXPECT_FALSE(dynamic_cast<const nn::Linear&>(*graph.node("fc1").module).settings().bias);
}

TEST(ModelBuilder, ReadsANumberForEachSide) {
  const nn::Graph graph =
      build({"a: conv 8 3x5 stride 2x1 pad 1,0,1,2 dilation 1x2", "b: conv 8 4x2 pad same", "c: depthwise 3x1 pad 1x0",
             "d: maxpool 2x3 stride 2x1", "e: avgpool 2 stride 1 same", "gap", "linear 10"});
  const auto& a = dynamic_cast<const nn::Conv2d&>(*graph.node("a").module).settings();
  EXPECT_EQ(a.kernel, Extent2d(3, 5));
  EXPECT_EQ(a.stride, Extent2d(2, 1));
  EXPECT_EQ(a.padding, Padding2d(1, 0, 1, 2));
  EXPECT_EQ(a.dilation, Extent2d(1, 2));
  EXPECT_EQ(graph.node("a").shape, (Shape{14, 22, 8}));
  EXPECT_EQ(dynamic_cast<const nn::Conv2d&>(*graph.node("b").module).settings().padding, Padding2d(1, 0, 2, 1));
  EXPECT_EQ(graph.node("b").shape, graph.node("a").shape);
  EXPECT_EQ(graph.node("c").shape, graph.node("a").shape);
  const auto& d = dynamic_cast<const nn::MaxPool2d&>(*graph.node("d").module).settings();
  EXPECT_EQ(d.kernel, Extent2d(2, 3));
  EXPECT_EQ(d.stride, Extent2d(2, 1));
  EXPECT_EQ(graph.node("d").shape, (Shape{7, 20, 8}));
  EXPECT_EQ(graph.node("e").shape, graph.node("d").shape);
}

TEST(ModelBuilder, BuildsResidualGraphsFromNodes) {
  const Recipe recipe = parse_recipe(R"(
[[model.nodes]]
name = "stem"
op = "conv 8 3x3 same"
[[model.nodes]]
name = "branch"
op = "conv 8 3x3 same"
[[model.nodes]]
name = "sum"
op = "add"
inputs = ["stem", "branch"]
[[model.nodes]]
op = "gap"
[[model.nodes]]
op = "linear 10"
)",
                                     "r.toml");
  const nn::Graph graph = build_model(recipe.model, {8, 8, 1}, 10);
  EXPECT_EQ(names_of(graph), (std::vector<std::string>{"input", "stem", "branch", "sum", "pool1", "fc1"}));
  EXPECT_EQ(graph.node("sum").inputs.size(), 2U);
}

TEST(ModelBuilder, SoftmaxHasNoOptions) {
  const nn::Graph graph = build({"conv 4 3x3", "softmax", "flatten", "linear 10", "softmax"});
  EXPECT_EQ(graph.node("softmax1").shape, (Shape{26, 26, 4}));
  EXPECT_EQ(graph.node("softmax2").shape, (Shape{10}));
  EXPECT_EQ(error_of({"flatten", "linear 10", "softmax axis 1"}),
            "r.toml:5: [model] layer 3 \"softmax axis 1\", on [10]: unknown option 'axis' of 'softmax'");
  EXPECT_EQ(error_of({"flatten", "linear 10", "softmx"}),
            "r.toml:5: [model] layer 3 \"softmx\", on [10]: unknown operation 'softmx'; did you mean 'softmax'?");
}

TEST(ModelBuilder, ErrorsNameTheLayerItsTextAndTheShapes) {
  EXPECT_EQ(error_of({"conv 32 3x3", "rleu"}),
            "r.toml:4: [model] layer 2 \"rleu\", on [26, 26, 32]: unknown operation 'rleu'; did you mean 'relu'?");
  EXPECT_EQ(error_of({"conv 32"}),
            "r.toml:3: [model] layer 1 \"conv 32\", on [28, 28, 1]: expected a window after 'conv'; write for example "
            "\"conv 32 3x3\"");
  EXPECT_EQ(
      error_of({"conv x 3x3"}),
      "r.toml:3: [model] layer 1 \"conv x 3x3\", on [28, 28, 1]: expected the number of output channels, got 'x'; "
      "write for example \"conv 32 3x3\"");
  EXPECT_EQ(error_of({"conv 32 3x"}),
            "r.toml:3: [model] layer 1 \"conv 32 3x\", on [28, 28, 1]: expected a window such as 3x3, got '3x'; write "
            "for example \"conv 32 3x3\"");
  EXPECT_EQ(error_of({"conv 32 3x3 strid 2"}),
            "r.toml:3: [model] layer 1 \"conv 32 3x3 strid 2\", on [28, 28, 1]: unknown option 'strid' of 'conv'; did "
            "you mean 'stride'?");
  EXPECT_EQ(error_of({"conv 32 3x3 stride 0"}),
            "r.toml:3: [model] layer 1 \"conv 32 3x3 stride 0\", on [28, 28, 1]: expected a whole number >= 1, or "
            "two such as 2x1, after 'stride'; write for example \"stride 2\"");
  for (const std::string pad : {"1,2", "1,2,3", "1,2,3,4,5", "1,2,3,", "-1", "1x", "one", ""}) {
    const std::string text = "conv 32 3x3 pad" + (pad.empty() ? pad : " " + pad);
    EXPECT_EQ(error_of({text}),
              "r.toml:3: [model] layer 1 \"" + text +
                  "\", on [28, 28, 1]: expected whole numbers >= 0 after 'pad': one, two as 1x2 (height, width), or "
                  "four as 1,0,1,2 (top, left, bottom, right); write for example \"pad 1\"");
  }
  EXPECT_EQ(error_of({"conv 32 3x3 pad 1 same"}),
            "r.toml:3: [model] layer 1 \"conv 32 3x3 pad 1 same\", on [28, 28, 1]: 'pad' and 'same' contradict each "
            "other; write one of them");
  EXPECT_EQ(error_of({"linear 10"}),
            "r.toml:3: [model] layer 1 \"linear 10\", on [28, 28, 1]: expected a vector as input; put \"flatten\" "
            "before it");
  EXPECT_EQ(error_of({"flatten", "linear 12"}),
            "r.toml:4: [model] layer 2 \"linear 12\": the model gives [12] numbers an example, but the data set has 10 "
            "classes; end with \"linear 10\"");
  EXPECT_EQ(error_of({""}),
            "r.toml:3: [model] layer 1 \"\", on [28, 28, 1]: is empty; write for example \"conv 32 3x3\"");
  // A shape that does not fit: the module's own words after the layer's.
  const std::string small = error_of({"conv 32 3x3", "conv 8 5x5"}, {6, 6, 1});
  EXPECT_TRUE(small.starts_with("r.toml:4: [model] layer 2 \"conv 8 5x5\", on [4, 4, 32]: ")) << small;
  const std::string groups = error_of({"conv 6 3x3", "conv 8 3x3 groups 4"});
  EXPECT_TRUE(groups.starts_with("r.toml:4: [model] layer 2 \"conv 8 3x3 groups 4\", on [26, 26, 6]: ")) << groups;
  const std::string twice = error_of({"a: flatten", "a: relu", "linear 10"});
  EXPECT_TRUE(twice.starts_with("r.toml:4: [model] layer 2 \"relu\", on [784]: ")) << twice;
}

TEST(ModelBuilder, NodeErrorsNameTheInputs) {
  const auto build_nodes = [](const std::string& inputs) {
    const Recipe recipe = parse_recipe(
        "[[model.nodes]]\nname = \"stem\"\nop = \"flatten\"\n[[model.nodes]]\nop = \"add\"\ninputs = " + inputs + "\n",
        "r.toml");
    build_model(recipe.model, {4, 4, 1}, 10);
  };
  try {
    build_nodes("[\"stem\", \"stam\"]");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "r.toml:4: [model] node 2 \"add\", on [16]: no node 'stam' before it; did you mean 'stem'?");
  }
  try {
    build_nodes("[\"stem\", \"input\"]");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("r.toml:4: [model] node 2 \"add\", on [16] and [4, 4, 1]: "))
        << error.what();
  }
}

TEST(ModelBuilder, AnOperationOfOnesOwnIsReadLikeTheOthers) {
  Layers own = standard_layers();
  own["shrink"] = {
      .stem = "small", .make = [](LayerText& text, const LayerContext&) -> std::shared_ptr<nn::Module> {
        return std::make_shared<nn::AvgPool2d>(nn::Pool2d::Options{.kernel = text.whole("a factor", "shrink 2")});
      }};
  const ModelSection model = layers({"shrink 7", "flatten", "linear 10"});
  EXPECT_EQ(names_of(build_model(model, {28, 28, 1}, 10, own)),
            (std::vector<std::string>{"input", "small1", "flatten1", "fc1"}));
  EXPECT_THROW(build_model(model, {28, 28, 1}, 10), Error) << "the standard operations do not have it";
}

// Work that grows with the square of the layers shows as a case that takes minutes.
TEST(ModelBuilder, BuildsManyLayers) {
  std::vector<std::string> lines{"flatten", "linear 10"};
  lines.resize(20000, "relu");
  const nn::Graph graph = build(lines);
  EXPECT_EQ(graph.nodes().size(), 20001U);
  EXPECT_EQ(graph.nodes().back().name, "relu19998");
}

}  // namespace
}  // namespace detent::recipes::model_builder_test
