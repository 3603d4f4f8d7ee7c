#include "detent/nn/fuse_relu.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "tests/nn/nets.h"

namespace detent::nn::fuse_relu_test {
namespace {

/// conv (fused), conv read twice (not), a sum's ReLU (fused), a batch norm's (fused), linear (fused), a linear whose
/// value is the output (not).
Graph net_with_relus() {
  Graph net;
  auto x = net.input({6, 6, 2});
  x = net.relu(net.conv2d(x, {.out_channels = 4, .padding = 1, .name = "fused_conv"}));
  const auto twice = net.conv2d(x, {.out_channels = 4, .padding = 1, .name = "twice"});
  x = net.relu(net.add(net.relu(twice), twice, "sum"));
  x = net.relu(net.batch_norm(x, {.name = "norm"}));
  x = net.relu(net.linear(net.flatten(x), {.out_features = 5, .name = "fused_linear"}));
  x = net.activation(net.linear(x, {.out_features = 5, .name = "other"}), kernels::Activation::Tanh);
  const auto logits = net.linear(x, {.out_features = 3, .name = "logits"});
  net.output(logits);
  net.relu(logits);
  return net;
}

bool has_relu(const Graph& net, const char* name) { return net.node(name).module->options().value("relu", false); }

TEST(FuseRelu, TakesTheReluThatOnlyOneModuleFeeds) {
  Graph net = net_with_relus();
  net.initialize(3);
  Graph fused = fuse_relu(net);
  EXPECT_TRUE(has_relu(fused, "fused_conv"));
  EXPECT_TRUE(has_relu(fused, "fused_linear"));
  EXPECT_TRUE(has_relu(fused, "sum"));
  EXPECT_TRUE(has_relu(fused, "norm"));
  EXPECT_FALSE(has_relu(fused, "twice"));
  EXPECT_FALSE(has_relu(fused, "other"));
  EXPECT_FALSE(has_relu(fused, "logits"));
  EXPECT_EQ(fused.nodes().size(), net.nodes().size() - 4);
  EXPECT_EQ(fused.node(fused.output()).name, "logits");
  EXPECT_FALSE(has_relu(net, "fused_conv")) << "the graph that was given must not change";
}

TEST(FuseRelu, ComputesTheSameAndTrainsTheSame) {
  Graph net = net_with_relus();
  net.initialize(3);
  Graph other = net.clone();
  Graph fused = fuse_relu(other);
  const Tensor x = random_tensor({8, 6, 6, 2}, 4);
  const Tensor target = random_tensor({8, 3}, 5);
  EXPECT_EQ(difference(evaluate(net, x), evaluate(fused, x)), "");
  for (std::uint64_t step = 0; step < 5; ++step) {
    EXPECT_EQ(train_step(net, x, target, 0.05F, step), train_step(fused, x, target, 0.05F, step)) << "step " << step;
  }
  EXPECT_EQ(difference(evaluate(net, x), evaluate(fused, x)), "");
  EXPECT_EQ(difference(evaluate(net, x), evaluate(other, x)), "") << "both graphs must own the same weights";
  const auto expected = net.parameters();
  const auto actual = fused.parameters();
  ASSERT_EQ(expected.size(), actual.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(expected[i].name, actual[i].name);
  }
}

TEST(FuseRelu, SharesEvenWhatIsInitializedAgain) {
  Graph net = net_with_relus();
  net.initialize(3);
  Graph fused = fuse_relu(net);
  fused.initialize(4);
  const Tensor x = random_tensor({2, 6, 6, 2}, 4);
  EXPECT_EQ(difference(evaluate(net, x), evaluate(fused, x)), "");
}

TEST(FuseRelu, FollowsAnOutputThatIsTheRelu) {
  Graph net;
  net.output(net.relu(net.linear(net.input({3}), {.out_features = 2, .name = "fc"})));
  net.initialize(1);
  Graph fused = fuse_relu(net);
  EXPECT_EQ(fused.nodes().size(), 2U);
  const Tensor x = random_tensor({9, 3}, 1);
  EXPECT_EQ(difference(evaluate(net, x), evaluate(fused, x)), "");
}

TEST(FuseRelu, Twice) {
  Graph net = net_with_relus();
  net.initialize(3);
  const Graph once = fuse_relu(net);
  EXPECT_EQ(summary(once), summary(fuse_relu(once)));
}

}  // namespace
}  // namespace detent::nn::fuse_relu_test
