#include "detent/nn/graph.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/nn/nets.h"

namespace detent::nn::graph_test {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names(const Graph& net) {
  std::vector<std::string> names;
  for (const Graph::Node& node : net.nodes()) {
    names.push_back(node.name);
  }
  return names;
}

TEST(Graph, NamesItsNodesAndTakesOpenChannelsFromInputs) {
  const Graph net = residual_net();
  EXPECT_THAT(names(net), ElementsAre("input", "conv1", "batch_norm1", "relu1", "conv2", "batch_norm2", "sum", "relu2",
                                      "max_pool2d1", "dropout1", "flatten1", "fc1", "relu3", "fc2"));
  EXPECT_EQ(net.input_shape(), (Shape{8, 8, 3}));
  EXPECT_EQ(net.output_shape(), (Shape{4}));
  EXPECT_EQ(net.node("fc1").module->options().at("in_features"), 96);
  EXPECT_EQ(net.node("conv2").module->options().at("in_channels"), 6);
  EXPECT_EQ(net.node("conv2").module->name(), "conv2");
  EXPECT_EQ(net.parameter_count(), (27 + 1) * 6 + 12 + 54 * 6 + 97 * 10 + 44);
}

TEST(Graph, NamesDoNotCollideWithGivenOnes) {
  Graph net;
  auto x = net.input({4});
  x = net.flatten(x, "relu1");
  x = net.relu(x);
  net.relu(x);
  EXPECT_THAT(names(net), ElementsAre("input", "relu1", "relu2", "relu3"));
}

TEST(Graph, CountsReaders) {
  const Graph net = residual_net();
  const auto consumers = [&](std::size_t index) { return net.consumers({index}); };
  EXPECT_EQ(consumers(3), 2U) << "relu1, read by conv2 and sum";
  EXPECT_EQ(consumers(1), 1U);
  EXPECT_EQ(consumers(net.nodes().size() - 1), 1U) << "the output";
  Graph same;
  const auto x = same.input({2});
  same.add(x, x);
  EXPECT_EQ(same.consumers(x), 1U) << "one node reads it, twice";
}

TEST(Graph, AddsAValueToItself) {
  Graph net;
  const auto x = net.input({2});
  net.add(x, x);
  const Tensor y = evaluate(net, Tensor::from<float>({1.0F, -2.0F}, {1, 2}));
  EXPECT_EQ(difference(Tensor::from<float>({2.0F, -4.0F}, {1, 2}), y), "");
}

TEST(Graph, GivesTheChosenOutputEvenIfOthersFollow) {
  Graph net;
  const auto x = net.relu(net.input({2}));
  net.output(x);
  net.add(x, x);
  EXPECT_EQ(net.output(), x);
  const Tensor y = evaluate(net, Tensor::from<float>({1.0F, -2.0F}, {1, 2}));
  EXPECT_EQ(difference(Tensor::from<float>({1.0F, 0.0F}, {1, 2}), y), "");
}

TEST(Graph, ShowsEveryValueOnTheWay) {
  Graph net = residual_net();
  net.initialize(1);
  Tape tape(nullptr, Tape::Mode::Inference);
  Context context{.tape = tape};
  std::vector<std::string> seen;
  const Tensor x = random_tensor({2, 8, 8, 3}, 1);
  net.forward(context, tape.constant(x), [&](const Graph::Node& node, const Variable& value) {
    seen.push_back(node.name);
    EXPECT_EQ(value.shape(), node.shape.batched(2)) << node.name;
  });
  EXPECT_EQ(seen, names(net));
}

// Of a chain of equal sizes, two values are alive at a time, however long it is.
TEST(Graph, DropsValuesThatNobodyNeeds) {
  const auto peak = [](int length) {
    Graph net;
    auto x = net.input({1000});
    for (int i = 0; i < length; ++i) {
      x = net.activation(x, kernels::Activation::Tanh);
    }
    Arena arena;
    Tape tape(&arena, Tape::Mode::Inference);
    Context context{.tape = tape};
    net.forward(context, tape.constant(Tensor::zeros({1, 1000}, DType::F32)));
    return arena.peak_bytes();
  };
  EXPECT_EQ(peak(10), peak(3));
}

TEST(Graph, RefusesWhatDoesNotFit) {
  EXPECT_THAT(error_of([] { Graph().input_shape(); }), HasSubstr("no input"));
  EXPECT_THAT(error_of([] { Graph().input({0, 3}); }), HasSubstr("expected extents of at least 1, got shape [0, 3]"));
  EXPECT_THAT(error_of([] { Graph().input({1 << 20, 1 << 20}); }), HasSubstr("expected at most"));
  Graph net;
  const auto x = net.input({8, 8, 3});
  EXPECT_THAT(error_of([&] { net.linear(x, {.out_features = 1, .name = "fc"}); }),
              AllOf(HasSubstr("fc: "), HasSubstr("flatten")));
  EXPECT_THAT(error_of([&] { net.conv2d(x, {.out_channels = 1, .kernel = 9, .name = "c"}); }), HasSubstr("c: "));
  EXPECT_THAT(error_of([&] { net.relu({7}); }), HasSubstr("not of this graph"));
  EXPECT_THAT(error_of([&] { net.output({7}); }), HasSubstr("not of this graph"));
  EXPECT_THAT(error_of([&] { net.flatten(x, "a/b"); }), HasSubstr("'a/b'"));
  EXPECT_THAT(error_of([&] { net.flatten(x, ".."); }), HasSubstr("'..'"));
  EXPECT_THAT(error_of([&] { net.flatten(x, "input"); }), HasSubstr("'input' already"));
  EXPECT_THAT(error_of([&] { net.add(std::make_shared<Add>(), {x}, "sum"); }), HasSubstr("expected 2 inputs, got 1"));
  EXPECT_THAT(error_of([&] { (void)net.node("conv9"); }), HasSubstr("no node named 'conv9': there are input"));
  EXPECT_THAT(error_of([&] { (void)net.node("imput"); }),
              HasSubstr("no node named 'imput'; did you mean 'input'? there are input"));
  EXPECT_THAT(error_of([&] {
                evaluate(net, Tensor::zeros({1, 8, 8, 4}, DType::F32));
              }),
              HasSubstr("expected input [N] of [8, 8, 3], got [1, 8, 8, 4]"));
  EXPECT_EQ(net.nodes().size(), 1U) << "a refused call must leave nothing behind";
}

TEST(Graph, ComesBackFromJson) {
  const Graph net = residual_net();
  const json description = to_json(net);
  const Graph again = graph_from_json(json::parse(description.dump()), module_kinds());
  EXPECT_EQ(to_json(again), description);
  EXPECT_EQ(names(again), names(net));
  EXPECT_EQ(again.output(), net.output());
  EXPECT_EQ(summary(again), summary(net));
}

TEST(Graph, RefusesDamagedJson) {
  const json good = to_json(residual_net());
  const auto error = [&](const char* pointer, const json& value) {
    json bad = good;
    bad[json::json_pointer(pointer)] = value;
    return error_of([&] { graph_from_json(bad, module_kinds()); });
  };
  EXPECT_THAT(error("/nodes/0/kind", "conv3d"), HasSubstr("conv1: unknown kind 'conv3d'"));
  EXPECT_THAT(error("/nodes/0/kind", 3), HasSubstr("expected a text"));
  EXPECT_THAT(error("/nodes/0/inputs/0", "conv2"), HasSubstr("no node named 'conv2'"));
  EXPECT_THAT(error("/nodes/0/inputs", "input"), HasSubstr("expected a list of names"));
  EXPECT_THAT(error("/nodes/0/options/kernel", 0), HasSubstr("conv1: conv2d: kernel"));
  EXPECT_THAT(error("/nodes/0/options/in_channels", 4), HasSubstr("conv1: "));
  EXPECT_THAT(error("/nodes/0/options/speed", 4), HasSubstr("unknown option 'speed'"));
  EXPECT_THAT(error("/nodes/0/name", "conv2"), HasSubstr("graph: "));
  EXPECT_THAT(error("/nodes/0/name", ""), HasSubstr("no name"));
  EXPECT_THAT(error("/nodes/0/speed", ""), HasSubstr("unknown key 'speed'"));
  EXPECT_THAT(error("/nodes", 7), HasSubstr("nodes: expected a list"));
  EXPECT_THAT(error("/nodes/0", 7), HasSubstr("has no 'name'"));
  EXPECT_THAT(error("/input", "8 x 8"), HasSubstr("expected a list of integers"));
  EXPECT_THAT(error("/input/2", -3), HasSubstr("at least 1"));
  EXPECT_THAT(error("/input/2", 4000000000), HasSubstr("at most"));
  EXPECT_THAT(error("/output", "nobody"), HasSubstr("no node named 'nobody'"));
  EXPECT_THAT(error("/colour", 1), HasSubstr("unknown key 'colour'"));
  EXPECT_THAT(error_of([] { graph_from_json(json::parse("7"), module_kinds()); }), HasSubstr("has no 'input'"));
}

TEST(Graph, ClonesHaveTensorsOfTheirOwn) {
  Graph net = residual_net();
  net.initialize(1);
  Graph copy = net.clone();
  const Tensor x = random_tensor({2, 8, 8, 3}, 1);
  const Tensor before = evaluate(net, x);
  EXPECT_EQ(difference(before, evaluate(copy, x)), "");
  copy.initialize(2);
  EXPECT_NE(difference(before, evaluate(copy, x)), "");
  EXPECT_EQ(difference(before, evaluate(net, x)), "");
}

TEST(Graph, SummaryIsAligned) {
  Graph net;
  auto x = net.input({28, 28, 1});
  x = net.relu(net.conv2d(x, {.out_channels = 32, .kernel = 3, .name = "conv1"}));
  x = net.relu(net.conv2d(x, {.out_channels = 64, .kernel = 3, .name = "conv2"}));
  x = net.flatten(net.max_pool(x, {.kernel = 2}));
  x = net.relu(net.linear(x, {.out_features = 128, .name = "fc1"}));
  net.linear(x, {.out_features = 10, .name = "fc2"});
  EXPECT_EQ("\n" + summary(net), R"(
layer        kind        output shape  parameters  multiply-adds
----------------------------------------------------------------
input                    28 x 28 x 1
conv1        conv2d      26 x 26 x 32         320        194,688
relu1        relu        26 x 26 x 32           0              0
conv2        conv2d      24 x 24 x 64      18,496     10,616,832
relu2        relu        24 x 24 x 64           0              0
max_pool2d1  max_pool2d  12 x 12 x 64           0              0
flatten1     flatten     9216                   0              0
fc1          linear      128            1,179,776      1,179,648
relu3        relu        128                    0              0
fc2          linear      10                 1,290          1,280
----------------------------------------------------------------
total                                   1,199,882     11,992,448
)");
}

TEST(Graph, ParametersOutliveIt) {
  std::vector<NamedParameter> parameters;
  std::weak_ptr<Module> module;
  {
    Graph net;
    net.linear(net.input({3}), {.out_features = 2, .name = "fc"});
    net.initialize(1);
    module = net.node("fc").module;
    parameters = net.parameters();
  }
  ASSERT_FALSE(module.expired());
  EXPECT_EQ(parameters.at(0).name, "fc.weight");
  EXPECT_EQ(parameters.at(0).parameter.get(), &static_cast<Linear&>(*module.lock()).weight());
  parameters.clear();
  EXPECT_TRUE(module.expired());
}

}  // namespace
}  // namespace detent::nn::graph_test
