// Graphs with more than one input, and examples that are no images, through the passes.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "tests/quant/qat_fixture.h"

namespace detent {
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

Tensor run(nn::Graph& graph, std::uint64_t seed, bool training, std::map<std::string, Tensor>* values) {
  autograd::Tape tape;
  nn::Context context{.tape = tape, .training = training};
  std::vector<autograd::Variable> inputs;
  for (const nn::Graph::Node& input : graph.inputs()) {
    inputs.push_back(tape.constant(test::random_images(input.shape, 16, seed + inputs.size(), -1.0F, 2.0F)));
  }
  return graph
      .forward(context, inputs,
               [&](const nn::Graph::Node& node, const autograd::Variable& value) {
                 if (values != nullptr && value.value().qparams()) {
                   (*values)[node.name] = value.value().clone();
                 }
               })
      .value();
}

TEST(SeveralInputs, ShipTheTrainedCodes) {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    nn::Graph net = four_inputs();
    net.initialize(seed);
    nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(quant::QConfig{}));
    ASSERT_EQ(qat.inputs().size(), 4U);
    for (std::uint64_t step = 0; step < 4; ++step) {
      run(qat, 10 * seed + step, true, nullptr);
    }
    quant::freeze_observers(qat);
    nn::Graph int8 = quant::convert(qat).graph;
    std::map<std::string, Tensor> expected, actual;
    const Tensor y = run(qat, 99, false, &expected), y_int8 = run(int8, 99, false, &actual);
    for (const char* name : {"conv", "pool", "of_image", "of_signal", "of_row", "of_volume", "two", "others", "four"}) {
      ASSERT_TRUE(expected.contains(name) && actual.contains(name)) << name << " has no codes";
      ASSERT_EQ(expected[name].bytes(), actual[name].bytes()) << name;
      EXPECT_EQ(std::memcmp(expected[name].raw(), actual[name].raw(), expected[name].bytes()), 0)
          << name << ", seed " << seed;
    }
    EXPECT_EQ(std::memcmp(y.raw(), y_int8.raw(), y.bytes()), 0) << "seed " << seed;
  }
}

}  // namespace
}  // namespace detent
