// What may run as one, in graphs of every shape.
#include "detent/nn/fusions.h"

#include <gmock/gmock.h>

#include "tests/nn/nets.h"

namespace detent::nn::fusions_test {
namespace {

using Handle = Graph::Handle;
using testing::ElementsAre;
using testing::IsEmpty;

bool all(const Graph::Node& /*taker*/, const Graph::Node& /*node*/) { return true; }

/// Each fusion as "taker: node node", an add with what else it reads: "conv: bn add(skip) relu pool".
std::vector<std::string> fusions_of(const Graph& net, const MayFuse& may_fuse = all) {
  std::vector<std::string> texts;
  const std::vector<Fusion> fusions = find_fusions(net, may_fuse);
  EXPECT_EQ(fusions.size(), net.nodes().size());
  for (std::size_t i = 0; i < fusions.size(); ++i) {
    EXPECT_EQ(fusions[i].add.has_value(), fusions[i].residual.has_value());
    std::string text;
    for (const Handle node : fusions[i].nodes()) {
      text += " " + net.node(node).name;
      text += fusions[i].add == node ? "(" + net.node(*fusions[i].residual).name + ")" : "";
    }
    if (!text.empty()) {
      texts.push_back(net.nodes()[i].name + ":" + text);
    }
  }
  return texts;
}

/// A 3 x 3 convolution that keeps the size.
Handle conv(Graph& net, Handle x, std::string name) {
  return net.conv2d(x, {.out_channels = 4, .padding = 1, .name = std::move(name)});
}

Handle norm(Graph& net, Handle x, std::string name) { return net.batch_norm(x, {.name = std::move(name)}); }

Handle relu(Graph& net, Handle x, std::string name) {
  return net.activation(x, kernels::Activation::Relu, std::move(name));
}

Handle pool(Graph& net, Handle x, std::string name) { return net.max_pool(x, {.kernel = 2, .name = std::move(name)}); }

TEST(Fusions, AProductTakesAllThatStandsBehindIt) {
  Graph net;
  const auto skip = conv(net, net.input({8, 8, 3}), "skip");
  auto x = norm(net, conv(net, skip, "conv"), "bn");
  x = pool(net, relu(net, net.add(x, skip, "add"), "relu"), "pool");
  net.linear(net.flatten(x), {.out_features = 2, .name = "fc"});
  EXPECT_THAT(fusions_of(net), ElementsAre("conv: bn add(skip) relu pool"));
}

TEST(Fusions, AnyMayBeMissing) {
  Graph net;
  auto x = pool(net, conv(net, net.input({16, 16, 3}), "a"), "pool_a");
  x = relu(net, conv(net, x, "b"), "relu_b");
  x = pool(net, norm(net, conv(net, x, "c"), "bn_c"), "pool_c");
  x = relu(net, net.linear(net.flatten(x), {.out_features = 5, .name = "d"}), "relu_d");
  net.linear(x, {.out_features = 2, .name = "e"});
  EXPECT_THAT(fusions_of(net), ElementsAre("a: pool_a", "b: relu_b", "c: bn_c pool_c", "d: relu_d"));
}

TEST(Fusions, KeepTheirOrder) {
  Graph net;
  auto x = norm(net, relu(net, conv(net, net.input({8, 8, 3}), "a"), "relu_a"), "late_bn");
  x = relu(net, pool(net, conv(net, x, "b"), "pool_b"), "late_relu");
  x = relu(net, relu(net, conv(net, x, "c"), "relu_c"), "second_relu");
  EXPECT_THAT(fusions_of(net), ElementsAre("a: relu_a", "b: pool_b", "c: relu_c"));
}

TEST(Fusions, OtherModulesAreNotTakenIn) {
  Graph net;
  auto x = net.activation(conv(net, net.input({9, 9, 3}), "a"), kernels::Activation::Tanh, "tanh");
  x = net.max_pool(conv(net, x, "b"), {.kernel = 3, .stride = 2, .name = "wide"});
  x = net.max_pool(conv(net, x, "c"), {.kernel = 2, .stride = 1, .name = "dense"});
  x = net.max_pool(conv(net, x, "d"), {.kernel = 2, .padding = 1, .name = "padded"});
  x = net.avg_pool(conv(net, x, "e"), {.kernel = 2, .name = "mean"});
  relu(net, x, "of_mean");
  EXPECT_THAT(fusions_of(net), IsEmpty());
}

TEST(Fusions, EndWhereSomebodyElseReads) {
  for (const std::string reads : {"conv", "bn", "relu"}) {
    Graph net;
    const auto a = conv(net, net.input({8, 8, 3}), "conv");
    const auto b = norm(net, a, "bn");
    const auto c = relu(net, b, "relu");
    pool(net, c, "pool");
    net.dropout(reads == "conv" ? a : reads == "bn" ? b : c, 0.5, "other");
    const std::vector<std::string> expected{reads == "conv" ? "bn: relu"
                                            : reads == "bn" ? "conv: bn"
                                                            : "conv: bn relu"};
    EXPECT_EQ(fusions_of(net), expected) << "when another reads " << reads;
  }
}

TEST(Fusions, EndAtTheOutput) {
  for (const std::string output : {"conv", "bn", "relu", "pool"}) {
    Graph net;
    pool(net, relu(net, norm(net, conv(net, net.input({8, 8, 3}), "conv"), "bn"), "relu"), "pool");
    net.output(*net.find(output));
    const std::map<std::string, std::vector<std::string>> expected{
        {"conv", {"bn: relu"}}, {"bn", {"conv: bn"}}, {"relu", {"conv: bn relu"}}, {"pool", {"conv: bn relu pool"}}};
    EXPECT_EQ(fusions_of(net), expected.at(output)) << "when the output is " << output;
  }
}

TEST(Fusions, AnAddTakesItsReluWhereNoProductTakesTheAdd) {
  Graph net;
  const auto x = net.input({8, 8, 4});
  const auto a = pool(net, conv(net, x, "conv"), "pool");
  const auto b = net.max_pool(x, {.kernel = 2, .name = "skip"});
  relu(net, net.add(a, b, "add"), "relu");
  EXPECT_THAT(fusions_of(net), ElementsAre("conv: pool", "add: relu"));
}

TEST(Fusions, ABatchNormTakesItsReluWhereNoProductTakesTheBatchNorm) {
  Graph net;
  const auto x = net.input({8, 8, 4});
  const auto a = relu(net, norm(net, x, "alone"), "relu");
  relu(net, norm(net, conv(net, a, "conv"), "taken"), "behind");
  EXPECT_THAT(fusions_of(net), ElementsAre("alone: relu", "conv: taken behind"));
  const auto only_relus = [](const Graph::Node&, const Graph::Node& node) { return is_relu(node); };
  EXPECT_THAT(fusions_of(net, only_relus), ElementsAre("alone: relu", "taken: behind"));
}

TEST(Fusions, ABatchNormAtSeveralNodesTakesAReluAtAllOrNone) {
  for (const bool both : {false, true}) {
    Graph net;
    const auto x = net.input({8, 8, 4});
    const auto bn = std::make_shared<BatchNorm>(BatchNorm::Options{});
    const auto a = relu(net, net.add(bn, {x}, "one"), "relu_one");
    const auto two = net.add(bn, {a}, "two");
    net.dropout(both ? relu(net, two, "relu_two") : two, 0.5);
    const std::vector<std::string> expected =
        both ? std::vector<std::string>{"one: relu_one", "two: relu_two"} : std::vector<std::string>{};
    EXPECT_EQ(fusions_of(net), expected);
  }
}

TEST(Fusions, WhatDoesAReluIsNotTakenInAndTakesNothing) {
  Graph net;
  const auto x = net.input({8, 8, 4});
  const auto a = relu(net, net.batch_norm(conv(net, x, "conv"), {.relu = true, .name = "norm"}), "relu");
  const auto sum = std::make_shared<Add>(Add::Options{.relu = true});
  relu(net, net.add(sum, {conv(net, a, "other"), x}, "sum"), "of_sum");
  EXPECT_THAT(fusions_of(net), IsEmpty());
}

TEST(Fusions, TheLaterOfTwoProductsTakesTheAdd) {
  for (const bool swapped : {false, true}) {
    Graph net;
    const auto x = net.input({8, 8, 4});
    const auto a = norm(net, conv(net, x, "first"), "bn_first");
    const auto b = norm(net, conv(net, x, "second"), "bn_second");
    relu(net, swapped ? net.add(b, a, "add") : net.add(a, b, "add"), "relu");
    EXPECT_THAT(fusions_of(net), ElementsAre("first: bn_first", "second: bn_second add(bn_first) relu"));
  }
}

TEST(Fusions, AnAddWhoseOtherValueComesLaterStays) {
  Graph net;
  const auto x = net.input({8, 8, 4});
  const auto a = conv(net, x, "first");
  const auto b = conv(net, x, "second");
  relu(net, net.add(norm(net, a, "bn_first"), b, "add"), "relu");
  EXPECT_THAT(fusions_of(net), ElementsAre("first: bn_first", "add: relu"));
}

TEST(Fusions, AValueThatIsAddedToItselfStays) {
  Graph net;
  const auto a = conv(net, net.input({8, 8, 4}), "conv");
  relu(net, net.add(a, a, "add"), "relu");
  EXPECT_THAT(fusions_of(net), ElementsAre("add: relu"));
}

TEST(Fusions, AProductThatDoesAReluTakesAMaxPoolAlone) {
  for (const std::string behind : {"bn", "add", "relu", "pool"}) {
    Graph net;
    const auto x = net.input({8, 8, 4});
    const auto a = net.conv2d(x, {.out_channels = 4, .padding = 1, .relu = true, .name = "conv"});
    behind == "bn"     ? norm(net, a, "bn")
    : behind == "add"  ? net.add(a, x, "add")
    : behind == "relu" ? relu(net, a, "relu")
                       : pool(net, a, "pool");
    EXPECT_EQ(fusions_of(net), behind == "pool" ? std::vector<std::string>{"conv: pool"} : std::vector<std::string>{})
        << behind;
  }
}

/// One convolution at the nodes "one" and "two", of images of one size.
struct SharedConv {
  Graph net;
  Handle input = net.input({8, 8, 4}), one{0}, two{0};
  SharedConv() {
    const auto module = std::make_shared<Conv2d>(Conv2d::Options{.out_channels = 4, .padding = 1});
    one = net.add(module, {input}, "one");
    two = net.add(module, {net.dropout(input, 0.5, "drop")}, "two");
  }
};

TEST(Fusions, AModuleAtSeveralNodesTakesTheSameAtAll) {
  SharedConv s;
  const auto bn = std::make_shared<BatchNorm>(BatchNorm::Options{});
  const auto a = pool(s.net, relu(s.net, s.net.add(bn, {s.one}, "bn_one"), "relu_one"), "pool_one");
  const auto b = relu(s.net, s.net.add(bn, {s.two}, "bn_two"), "relu_two");
  s.net.add(a, s.net.max_pool(s.net.dropout(b, 0.5), {.kernel = 2}), "add");
  EXPECT_THAT(fusions_of(s.net), ElementsAre("one: bn_one relu_one", "two: bn_two relu_two"));
}

TEST(Fusions, AModuleAtSeveralNodesTakesNothingThatOneOfThemLacks) {
  SharedConv s;
  const auto a = relu(s.net, s.one, "relu_one");
  s.net.add(a, s.two, "add");
  EXPECT_THAT(fusions_of(s.net), IsEmpty());
}

TEST(Fusions, TwoBatchNormsOfOneModuleStay) {
  SharedConv s;
  const auto a = relu(s.net, norm(s.net, s.one, "bn_one"), "relu_one");
  const auto b = relu(s.net, norm(s.net, s.two, "bn_two"), "relu_two");
  s.net.add(a, b, "add");
  EXPECT_THAT(fusions_of(s.net), ElementsAre("bn_one: relu_one", "bn_two: relu_two"));
}

TEST(Fusions, ABatchNormOfTwoModulesStays) {
  Graph net;
  const auto x = net.input({8, 8, 4});
  const auto bn = std::make_shared<BatchNorm>(BatchNorm::Options{});
  const auto a = net.add(bn, {conv(net, x, "a")}, "bn_a");
  const auto b = net.add(bn, {conv(net, x, "b")}, "bn_b");
  net.add(a, net.dropout(b, 0.5), "add");
  EXPECT_THAT(fusions_of(net), IsEmpty());
}

TEST(Fusions, ABatchNormThatStandsElsewhereTooStays) {
  SharedConv s;
  const auto bn = std::make_shared<BatchNorm>(BatchNorm::Options{});
  const auto a = s.net.add(bn, {s.one}, "bn_one");
  const auto b = s.net.add(bn, {s.two}, "bn_two");
  s.net.add(s.net.add(bn, {s.input}, "bn_input"), s.net.add(a, b, "add"), "sum");
  EXPECT_THAT(fusions_of(s.net), IsEmpty());
}

TEST(Fusions, ABatchNormThatStandsAtOneOfThemAndElsewhereStays) {
  SharedConv s;
  const auto bn = std::make_shared<BatchNorm>(BatchNorm::Options{});
  const auto a = s.net.add(bn, {s.one}, "bn_one");
  const auto b = norm(s.net, s.two, "bn_two");
  s.net.add(s.net.add(bn, {s.input}, "bn_input"), s.net.add(a, b, "add"), "sum");
  EXPECT_THAT(fusions_of(s.net), IsEmpty());
}

TEST(Fusions, AModuleAtSeveralNodesTakesAddsAtAll) {
  SharedConv s;
  const auto a = s.net.add(s.one, s.input, "add_one");
  const auto b = s.net.add(s.input, s.two, "add_two");
  s.net.add(s.net.dropout(a, 0.5), relu(s.net, b, "relu_two"), "sum");
  EXPECT_THAT(fusions_of(s.net), ElementsAre("one: add_one(input)", "two: add_two(input)"));
  SharedConv t;
  t.net.add(t.one, t.two, "add");
  EXPECT_THAT(fusions_of(t.net), IsEmpty()) << "the first would have to wait for the second";
}

TEST(Fusions, OneAddModuleMayTakeAReluAtOneOfItsNodes) {
  Graph net;
  const auto x = net.input({4});
  const auto add = std::make_shared<Add>();
  const auto a = relu(net, net.add(add, {x, x}, "one"), "relu");
  net.add(add, {a, x}, "two");
  EXPECT_THAT(fusions_of(net), ElementsAre("one: relu"));
}

TEST(Fusions, TheCallerSaysWhatMayTakePart) {
  Graph net;
  const auto skip = net.input({8, 8, 4});
  const auto x = norm(net, conv(net, skip, "conv"), "bn");
  pool(net, relu(net, net.add(x, skip, "add"), "relu"), "pool");
  const auto without = [](std::string taker, std::string name) -> MayFuse {
    return [=](const Graph::Node& t, const Graph::Node& node) {
      return node.name != name || (!taker.empty() && t.name != taker);
    };
  };
  EXPECT_THAT(fusions_of(net, without("", "bn")), ElementsAre("add: relu"));
  EXPECT_THAT(fusions_of(net, without("conv", "add")), ElementsAre("conv: bn", "add: relu"));
  EXPECT_THAT(fusions_of(net, without("", "relu")), ElementsAre("conv: bn add(input)"));
  EXPECT_THAT(fusions_of(net, without("", "pool")), ElementsAre("conv: bn add(input) relu"));
}

TEST(Fusions, ASubclassIsAnotherModule) {
  struct OwnConv : Conv2d {
    using Conv2d::Conv2d;
    std::string_view kind() const override { return "own_conv"; }
  };
  Graph net;
  relu(net, net.add(std::make_shared<OwnConv>(Conv2d::Options{.out_channels = 2}), {net.input({8, 8, 3})}, "own"),
       "relu");
  EXPECT_THAT(fusions_of(net), IsEmpty());
}

TEST(Graph, KnowsTheSoleConsumerOfAValue) {
  Graph net;
  const auto x = net.input({4});
  const auto once = net.relu(x);
  const auto both = net.add(once, once, "both");  // one node that reads it twice
  const auto unread = net.relu(both);
  net.output(both);
  EXPECT_EQ(net.sole_consumer(x), once);
  EXPECT_EQ(net.sole_consumer(once), both);
  EXPECT_EQ(net.sole_consumer(both), std::nullopt) << "it is the output, too";
  EXPECT_EQ(net.sole_consumer(unread), std::nullopt);
}

}  // namespace
}  // namespace detent::nn::fusions_test
