#pragma once

#include "detent/nn/graph.h"
#include "detent/runtime/model.h"
#include "tests/runtime/random_model.h"

/// Small models whose files fuzzing begins with.
namespace detent::fuzz {

inline nn::Graph float_graph() {
  nn::Graph net;
  auto x = net.input({6, 6, 1});
  x = net.conv2d(x, {.out_channels = 3, .kernel = 3, .name = "conv1"});
  net.output(net.linear(net.flatten(net.relu(x)), {.out_features = 4, .name = "fc"}));
  net.initialize(1);
  return net;
}

inline runtime::Model integer_model() {
  runtime::test::ModelBuilder net(1);
  auto x = net.quantize(net.input({6, 6, 1}));
  x = net.conv(x, {.o = 4, .kh = 3, .kw = 3}, true);
  x = net.conv(net.max_pool(x), {.o = 3, .kh = 1, .kw = 1}, false, true, true, 4);
  net.dequantize(x);
  return net.model;
}

}  // namespace detent::fuzz
