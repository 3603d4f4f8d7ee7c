// Float graphs as models: what is folded and fused, and that results stay.

#include "detent/quant/passes/lower.h"

#include <gtest/gtest.h>

#include "tests/quant/qat_fixture.h"

namespace detent::lower_test {
namespace {

using test::random_images;

std::vector<std::string> ops_of(const runtime::Model& model) {
  std::vector<std::string> ops;
  for (const runtime::Node& node : model.nodes) {
    std::string text = node.name + ":" + std::string(name_of(node.op));
    const auto* const product = std::get_if<runtime::Product>(&node.op);
    const auto* const sum = std::get_if<runtime::Add>(&node.op);
    text += product != nullptr && node.inputs.size() == 2 ? "+" + model.name(node.inputs[1]) : "";
    text += (product != nullptr && product->relu) || (sum != nullptr && sum->relu) ? " relu" : "";
    ops.push_back(text);
  }
  return ops;
}

/// Statistics and affine parameters that are not those of an identity.
void make_norms_uneven(nn::Graph& net) {
  RandomStream random(3, "norms");
  for (const nn::Graph::Node& node : net.nodes()) {
    if (auto* const norm = nn::exactly<nn::BatchNorm>(node.module.get())) {
      for (const nn::Slot& slot : norm->slots()) {
        for (float& x : slot.tensor->data<float>()) {
          x = slot.name == "running_mean" ? random.uniform(-1.0F, 0.2F) : random.uniform(0.5F, 1.5F);
        }
      }
    }
  }
}

void expect_close(nn::Graph& net, const std::vector<std::string>& ops) {
  net.initialize(6);
  make_norms_uneven(net);
  const runtime::Model model = quant::lower(net);
  EXPECT_EQ(ops_of(model), ops);
  for (const std::int64_t batch : {1, 5, 70}) {
    const Tensor images = random_images(net.input_shape(), batch, 8);
    const Tensor expected = test::infer(net, images);
    const Tensor actual = test::infer(model, images);
    ASSERT_EQ(actual.shape(), expected.shape());
    for (std::size_t i = 0; i < static_cast<std::size_t>(actual.elements()); ++i) {
      ASSERT_NEAR(actual.data<float>()[i], expected.data<float>()[i], 2e-5F) << "batch " << batch << ", element " << i;
    }
  }
}

TEST(Lower, FoldsBatchNormsAndDropsDropout) {
  nn::Graph net = test::everything_net();
  expect_close(net, {"conv1:product relu", "depthwise:product", "sigmoid:activation", "pointwise:product+conv1 relu",
                     "average:pool", "conv2:product", "max:pool", "relu3:activation", "flatten1:reshape",
                     "fc1:product relu", "fc2:product"});
}

TEST(Lower, LeavesApartWhatOthersReadToo) {
  nn::Graph net;
  auto x = net.input({6, 6, 2});
  auto a = net.conv2d(x, {.out_channels = 4, .kernel = 3, .padding = 1, .name = "a"});
  auto norm = net.batch_norm(a, {.name = "norm"});  // a is read by the sum, too
  auto sum = net.add(a, norm, "sum");
  auto b = net.conv2d(sum, {.out_channels = 4, .kernel = 1, .name = "b"});
  auto twice = net.add(b, b, "twice");  // of one value: no summand of itself
  auto c = net.relu(net.conv2d(twice, {.out_channels = 4, .kernel = 1, .name = "c"}));
  auto d = net.add(c, twice, "after_relu");  // the ReLU comes before the sum
  auto e = net.conv2d(d, {.out_channels = 4, .kernel = 1, .name = "e"});
  auto f = net.conv2d(d, {.out_channels = 4, .kernel = 1, .name = "f"});
  d = net.relu(net.add(e, f, "both"));  // two products: the later takes the sum
  net.output(net.linear(net.global_avg_pool(d, "pool"), {.out_features = 3, .name = "fc"}));
  expect_close(net, {"a:product", "norm:batch_norm", "sum:add", "b:product", "twice:add", "c:product relu",
                     "after_relu:add", "e:product", "f:product+e relu", "pool:pool", "fc:product"});
}

TEST(Lower, TakesModulesThatDoARelu) {
  nn::Graph net;
  auto x = net.input({6, 6, 2});
  auto a = net.conv2d(x, {.out_channels = 4, .padding = 1, .name = "a"});
  auto norm = net.batch_norm(a, {.relu = true, .name = "norm"});
  auto sum = net.add(std::make_shared<nn::Add>(nn::Add::Options{.relu = true}), {a, norm}, "sum");
  net.output(net.linear(net.flatten(sum, "flat"), {.out_features = 3, .name = "fc"}));
  expect_close(net,
               {"a:product", "norm:batch_norm", "norm_relu:activation", "sum:add relu", "flat:reshape", "fc:product"});
}

TEST(Lower, DoesNotTouchTheGraph) {
  nn::Graph net = test::everything_net();
  net.initialize(1);
  make_norms_uneven(net);
  const Tensor images = random_images(net.input_shape(), 4, 9);
  const Tensor before = test::infer(net, images).clone();
  quant::lower(net);
  const Tensor after = test::infer(net, images);
  EXPECT_EQ(std::memcmp(before.raw(), after.raw(), before.bytes()), 0);
}

}  // namespace
}  // namespace detent::lower_test
