// Passes over many layers. Work that grows with the square of their number shows as a case that takes minutes.
#include <gtest/gtest.h>

#include "tests/quant/qat_fixture.h"

namespace detent::large_graph_test {
namespace {

TEST(LargeGraph, IsPreparedAndConverted) {
  constexpr std::size_t kLayers = 20000;
  nn::Graph net;
  auto x = net.linear(net.input({2}), {.out_features = 2, .name = "first"});
  while (net.nodes().size() < kLayers) {
    x = net.relu(x);
  }
  net.output(net.linear(x, {.out_features = 2, .name = "last"}));
  net.initialize(1);
  nn::Graph prepared = quant::prepare(net, quant::QConfigMapping());
  const Tensor images = test::random_images({2}, 4, 1);
  test::infer(prepared, images);
  quant::freeze_observers(prepared);
  const quant::Converted converted = quant::convert(prepared);
  EXPECT_EQ(converted.model.values(), prepared.nodes().size());
  EXPECT_GE(converted.model.nodes.size(), kLayers);
  evaluation::Verifier verifier(prepared, converted.model);
  verifier.feed(images);
  EXPECT_EQ(verifier.report().codes_mismatched, 0);
}

}  // namespace
}  // namespace detent::large_graph_test
