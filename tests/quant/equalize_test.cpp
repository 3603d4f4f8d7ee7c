// Equal ranges of consecutive layers' channels: the function stays, and chains end where it would not.

#include "detent/quant/passes/equalize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/quant/passes/fold_batch_norm.h"
#include "tests/quant/qat_fixture.h"

namespace detent::equalize_test {
namespace {

using Handle = nn::Graph::Handle;

std::span<float> values(const nn::Graph& graph, std::string_view node, std::string_view slot_name) {
  for (const nn::Slot& slot : graph.node(node).module->slots()) {
    if (slot.name == slot_name) {
      return slot.tensor->data<float>();
    }
  }
  fail("test: no slot ", slot_name);
}

void set(const nn::Graph& graph, std::string_view node, std::string_view slot, const std::vector<float>& numbers) {
  std::ranges::copy(numbers, values(graph, node, slot).begin());
}

std::vector<float> got(const nn::Graph& graph, std::string_view node, std::string_view slot) {
  const std::span<float> all = values(graph, node, slot);
  return {all.begin(), all.end()};
}

void expect_same_function(nn::Graph& expected, nn::Graph& actual, const std::string& what) {
  const Tensor images = test::random_images(expected.input_shape(), 7, 11, -1.0F, 1.0F);
  const Tensor before = test::infer(expected, images);
  const Tensor after = test::infer(actual, images);
  ASSERT_EQ(after.shape(), before.shape()) << what;
  float largest = 1e-6F;
  for (const float x : before.data<float>()) {
    largest = std::max(largest, std::abs(x));
  }
  for (std::size_t i = 0; i < before.data<float>().size(); ++i) {
    ASSERT_NEAR(after.data<float>()[i], before.data<float>()[i], 2e-5F * largest) << what << ", element " << i;
  }
}

TEST(Equalize, MakesRangesEqualByHand) {
  nn::Graph net;
  auto x = net.relu(net.linear(net.input({2}), {.out_features = 3, .name = "a"}));
  net.output(net.linear(x, {.out_features = 2, .name = "b"}));
  net.initialize(1);
  set(net, "a", "weight", {4, -8, 1, 0.5F, 0, 0});
  set(net, "a", "bias", {2, 3, 5});
  set(net, "b", "weight", {0.5F, 1, 7, -0.25F, 4, 7});
  const nn::Graph equal = quant::equalize(net);
  // r1 = 8, 1, 0; r2 = 0.5, 4, 7; s = 4, 0.5, and 1 of the channel without weights
  EXPECT_EQ(got(equal, "a", "weight"), (std::vector<float>{1, -2, 2, 1, 0, 0}));
  EXPECT_EQ(got(equal, "a", "bias"), (std::vector<float>{0.5F, 6, 5}));
  EXPECT_EQ(got(equal, "b", "weight"), (std::vector<float>{2, 0.5F, 7, -1, 2, 7}));
  EXPECT_EQ(got(net, "a", "bias"), (std::vector<float>{2, 3, 5})) << "the graph itself is not changed";
}

TEST(Equalize, FollowsChannelsThroughFlattenAndGroups) {
  nn::Graph net;
  auto x = net.input({2, 1, 1});
  x = net.conv2d(x, {.out_channels = 2, .kernel = 1, .bias = false, .name = "conv"});
  x = net.conv2d(net.relu(x), {.out_channels = 2, .kernel = 1, .groups = 2, .bias = false, .name = "depthwise"});
  net.output(net.linear(net.flatten(x), {.out_features = 1, .bias = false, .name = "fc"}));
  net.initialize(1);
  set(net, "conv", "weight", {1, 64});
  set(net, "depthwise", "weight", {1, 1});
  set(net, "fc", "weight", {1, 1, 0.5F, -1});
  const nn::Graph equal = quant::equalize(net);
  // All three ranges of channel 1 become 64^(1/3) = 4; the flattened inputs are channels 0 1 0 1.
  const std::vector<float> conv = got(equal, "conv", "weight"), depthwise = got(equal, "depthwise", "weight"),
                           fc = got(equal, "fc", "weight");
  EXPECT_NEAR(conv[0], 1.0F, 1e-3F);
  EXPECT_NEAR(conv[1], 4.0F, 2e-3F);
  EXPECT_NEAR(depthwise[1], 4.0F, 2e-3F);
  EXPECT_NEAR(fc[1], 4.0F, 2e-3F);
  EXPECT_NEAR(fc[2], 0.5F, 1e-3F);
  EXPECT_NEAR(fc[3], -4.0F, 2e-3F);
}

// Two convolutions with what `between` puts between them.
template <typename Between>
nn::Graph chain(Between&& between) {
  nn::Graph net;
  const Handle x = net.input({6, 6, 2});
  const Handle a = net.conv2d(x, {.out_channels = 4, .kernel = 3, .padding = 1, .name = "a"});
  const Handle b = net.conv2d(between(net, a), {.out_channels = 4, .kernel = 3, .padding = 1, .name = "b"});
  net.output(net.linear(net.global_avg_pool(net.activation(b, kernels::Activation::Sigmoid)), {.out_features = 3}));
  net.initialize(5);
  for (std::size_t i = 0; i < 4; ++i) {  // unequal ranges
    for (float& w : values(net, "a", "weight").subspan(i * 18, 18)) {
      w *= std::pow(3.0F, static_cast<float>(i));
    }
  }
  return net;
}

TEST(Equalize, ChainsEndWhereTheFunctionWouldChange) {
  struct Row {
    const char* name;
    bool is_chain;
    Handle (*between)(nn::Graph& net, Handle a);
  };
  const std::vector<Row> rows{
      {"nothing", true, [](nn::Graph&, Handle a) { return a; }},
      {"relu", true, [](nn::Graph& net, Handle a) { return net.relu(a); }},
      {"leaky relu", true, [](nn::Graph& net, Handle a) { return net.activation(a, kernels::Activation::LeakyRelu); }},
      {"max pool", true, [](nn::Graph& net, Handle a) { return net.max_pool(net.relu(a), {.kernel = 2}); }},
      {"average pool, dropout", true,
       [](nn::Graph& net, Handle a) { return net.dropout(net.avg_pool(a, {.kernel = 2}), 0.5); }},
      {"relu6", false, [](nn::Graph& net, Handle a) { return net.activation(a, kernels::Activation::Relu6); }},
      {"sigmoid", false, [](nn::Graph& net, Handle a) { return net.activation(a, kernels::Activation::Sigmoid); }},
      {"sum with the ReLU of it", false, [](nn::Graph& net, Handle a) { return net.add(a, net.relu(a)); }},
      {"sum with itself", false, [](nn::Graph& net, Handle a) { return net.add(a, a); }},
      {"batch norm", false, [](nn::Graph& net, Handle a) { return net.batch_norm(a); }},
      {"a layer that stands at two nodes", false,
       [](nn::Graph& net, Handle a) {
         auto shared =
             std::make_shared<nn::Conv2d>(nn::Conv2d::Options{.out_channels = 4, .kernel = 1, .name = "shared"});
         return net.add(shared, {net.add(shared, {a})});
       }},
  };
  for (const Row& row : rows) {
    nn::Graph net = chain(row.between);
    nn::Graph equal = quant::equalize(net);
    EXPECT_EQ(got(equal, "a", "weight") != got(net, "a", "weight"), row.is_chain) << row.name;
    EXPECT_EQ(got(equal, "b", "weight") != got(net, "b", "weight"), row.is_chain) << row.name;
    expect_same_function(net, equal, row.name);
  }
}

TEST(Equalize, KeepsTheFunctionOfGraphsWhoseNormsAreFolded) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    nn::Graph net = test::everything_net();
    net.initialize(seed);
    test::train_step(net, test::random_images(net.input_shape(), 8, seed), test::random_labels(8, 5, seed), 0.1F);
    nn::Graph folded = quant::fold_batch_norms(net, quant::QConfigMapping());
    EXPECT_FALSE(folded.find("bn1"));
    EXPECT_EQ(values(folded, "conv1", "bias").size(), 8U);
    expect_same_function(net, folded, "folded");
    nn::Graph equal = quant::equalize(folded);
    EXPECT_NE(got(equal, "fc1", "weight"), got(folded, "fc1", "weight"));
    EXPECT_NE(got(equal, "conv2", "weight"), got(folded, "conv2", "weight"));
    EXPECT_EQ(got(equal, "conv1", "weight"), got(folded, "conv1", "weight")) << "a sum reads it";
    expect_same_function(net, equal, "seed " + std::to_string(seed));
  }
}

TEST(FoldBatchNorms, LeavesWhatStaysInFloat) {
  nn::Graph net = test::everything_net();
  EXPECT_THAT(error_of([&] { quant::fold_batch_norms(net, quant::QConfigMapping()); }),
              testing::HasSubstr("conv1: its weights are not set"));
  net.initialize(2);
  quant::QConfigMapping mapping;
  mapping.set_name("bn1", std::nullopt).set_name("fc1", std::nullopt);
  nn::Graph folded = quant::fold_batch_norms(net, mapping);
  EXPECT_TRUE(folded.find("bn1"));
  EXPECT_TRUE(folded.find("bn2"));
  EXPECT_EQ(folded.node("fc1").module->slots().size(), net.node("fc1").module->slots().size());
  expect_same_function(net, folded, "folded");
}

}  // namespace
}  // namespace detent::equalize_test
