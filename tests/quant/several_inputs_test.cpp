// Graphs with more than one input, and examples that are no images, through the passes.
#include <gtest/gtest.h>

#include <set>

#include <cstring>
#include <map>

#include "tests/quant/qat_fixture.h"

namespace detent::several_inputs_test {
namespace {

/// An image, a signal, a row of features and a volume.
nn::Graph four_inputs() {
  nn::Graph net;
  const auto image = net.input({6, 5, 2}, "image");
  const auto signal = net.input({4, 3}, "signal");
  const auto row = net.input({7}, "row");
  const auto volume = net.input({2, 3, 2, 2}, "volume");
  auto a = net.relu(net.conv2d(
      image, {.out_channels = 4, .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0, 0, 1}, .name = "conv"}));
  a = net.max_pool(a, {.kernel = {2, 1}, .stride = 1, .padding = {0, 0, 1, 0}, .name = "pool"});
  a = net.linear(net.flatten(a), {.out_features = 6, .name = "of_image"});
  const auto b = net.linear(net.flatten(signal), {.out_features = 6, .name = "of_signal"});
  const auto c = net.linear(row, {.out_features = 6, .name = "of_row"});
  const auto d = net.linear(net.flatten(volume), {.out_features = 6, .name = "of_volume"});
  const auto sum = net.relu(net.add(net.add(a, b, "two"), net.add(c, d, "others"), "four"));
  net.output(net.linear(sum, {.out_features = 3, .name = "fc"}));
  return net;
}

std::vector<Tensor> random_inputs(const nn::Graph& graph, std::uint64_t seed) {
  std::vector<Tensor> inputs;
  for (const nn::Graph::Node& input : graph.inputs()) {
    inputs.push_back(test::random_images(input.shape, 16, seed + inputs.size(), -1.0F, 2.0F));
  }
  return inputs;
}

void train_on(nn::Graph& graph, std::uint64_t seed) {
  autograd::Tape tape;
  nn::Context context{.tape = tape, .training = true};
  std::vector<autograd::Variable> inputs;
  for (const Tensor& input : random_inputs(graph, seed)) {
    inputs.push_back(tape.constant(input));
  }
  graph.forward(context, inputs);
}

TEST(SeveralInputs, ShipTheTrainedCodes) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    nn::Graph net = four_inputs();
    net.initialize(seed);
    nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(quant::QConfig{}));
    ASSERT_EQ(qat.inputs().size(), 4U);
    for (std::uint64_t step = 0; step < 4; ++step) {
      train_on(qat, 10 * seed + step);
    }
    quant::freeze_observers(qat);
    evaluation::Verifier verifier(qat, quant::convert(qat).model);
    verifier.feed(random_inputs(qat, 99));
    const evaluation::VerifyReport report = verifier.report();
    EXPECT_EQ(report.codes_mismatched, 0) << "seed " << seed << ": " << evaluation::to_text(report);
    std::set<std::string> layers;
    for (const evaluation::LayerComparison& layer : report.layers) {
      layers.insert(layer.name);
    }
    for (const char* name : {"conv", "pool", "of_image", "of_signal", "of_row", "of_volume", "two", "others", "four"}) {
      EXPECT_TRUE(layers.contains(name)) << name << " was not compared";
    }
  }
}

}  // namespace
}  // namespace detent::several_inputs_test
