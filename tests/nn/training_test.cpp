#include <gmock/gmock.h>

#include "detent/core/threads/parallel.h"
#include "detent/nn/graph.h"
#include "tests/nn/nets.h"

namespace detent::nn::training_test {
namespace {

TEST(Training, LearnsXor) {
  Graph net;
  auto x = net.linear(net.input({2}), {.out_features = 8, .name = "hidden"});
  x = net.activation(x, kernels::Activation::Tanh);
  net.linear(x, {.out_features = 1, .name = "out"});
  net.initialize(1);
  const Tensor inputs = Tensor::from<float>({-1, -1, -1, 1, 1, -1, 1, 1}, {4, 2});
  const Tensor target = Tensor::from<float>({-1, 1, 1, -1}, {4, 1});
  const double first = train_step(net, inputs, target, 0.2F);
  double last = first;
  for (int step = 1; step < 300; ++step) {
    last = train_step(net, inputs, target, 0.2F);
  }
  EXPECT_GT(first, 0.5) << "seed 1";
  EXPECT_LT(last, 0.01) << "seed 1";
  const Tensor y = evaluate(net, inputs);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(y.data<float>()[i], target.data<float>()[i], 0.2) << "example " << i << ", seed 1";
  }
}

TEST(Training, ReachesEveryParameterOfAGraphWithBranches) {
  Graph net = residual_net();
  net.initialize(2);
  const Tensor x = random_tensor({16, 8, 8, 3}, 1);
  const Tensor target = random_tensor({16, 4}, 2);
  const double first = train_step(net, x, target, 0.05F, 0);
  for (const NamedParameter& named : net.parameters()) {
    const auto gradient = named.parameter->gradient.data<float>();
    EXPECT_TRUE(std::ranges::any_of(gradient, [](float g) { return g != 0.0F; })) << named.name << " has no gradient";
  }
  double last = first;
  for (std::uint64_t step = 1; step < 60; ++step) {
    last = train_step(net, x, target, 0.05F, step);
  }
  EXPECT_LT(last, 0.5 * first) << "seed 2";
  net.clear_gradients();
  EXPECT_FALSE(net.parameters()[0].parameter->gradient.defined());
}

TEST(Training, GivesTheSameBitsOnAnyNumberOfThreads) {
  std::vector<Graph> nets;
  for (int threads = 1; threads <= 2; ++threads) {
    nets.push_back(residual_net());
    nets.back().initialize(2);
    ThreadPool(threads).run([&] {
      for (std::uint64_t step = 0; step < 4; ++step) {
        train_step(nets.back(), random_tensor({64, 8, 8, 3}, step), random_tensor({64, 4}, step + 100), 0.05F, step);
      }
    });
  }
  for (std::size_t n = 1; n < nets[0].nodes().size(); ++n) {
    const auto expected = nets[0].nodes()[n].module->slots();
    const auto actual = nets[1].nodes()[n].module->slots();
    for (std::size_t s = 0; s < expected.size(); ++s) {
      EXPECT_EQ(difference(*expected[s].tensor, *actual[s].tensor), "")
          << nets[0].nodes()[n].name << "." << expected[s].name;
    }
  }
}

TEST(Training, RunsInBf16) {
  Graph net = residual_net();
  net.initialize(2);
  const Tensor x = random_tensor({4, 8, 8, 3}, 1);
  const Tensor exact = evaluate(net, x);
  Tape tape(nullptr, Tape::Mode::Inference);
  Context context{.tape = tape, .product_dtype = DType::BF16};
  const Tensor y = net.forward(context, tape.constant(x)).value().to(DType::F32);
  double largest = 0.0;
  for (std::size_t i = 0; i < exact.data<float>().size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(exact.data<float>()[i] - y.data<float>()[i])));
  }
  EXPECT_GT(largest, 0.0) << "nothing was rounded";
  EXPECT_LT(largest, 0.05);
}

}  // namespace
}  // namespace detent::nn::training_test
