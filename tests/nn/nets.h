#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "detent/core/philox.h"
#include "detent/nn/graph.h"
#include "tests/error_of.h"

namespace detent::nn {

/// Every kind of module but the average pool, with a residual connection. 8 x 8 x 3 images, 4 classes.
inline Graph residual_net() {
  Graph net;
  auto x = net.input({8, 8, 3});
  x = net.conv2d(x, {.out_channels = 6, .padding = 1, .name = "conv1"});
  const auto skip = net.relu(net.batch_norm(x));
  x = net.conv2d(skip, {.out_channels = 6, .padding = 1, .bias = false, .name = "conv2"});
  x = net.relu(net.add(net.batch_norm(x, {.affine = false}), skip, "sum"));
  x = net.max_pool(x, {.kernel = 2});
  x = net.dropout(x, 0.25);
  x = net.relu(net.linear(net.flatten(x), {.out_features = 10, .name = "fc1"}));
  net.output(net.linear(x, {.out_features = 4, .name = "fc2"}));
  return net;
}

inline Tensor random_tensor(Shape shape, std::uint64_t seed) {
  Tensor tensor = Tensor::empty(std::move(shape), DType::F32);
  RandomStream random(seed, "test");
  for (float& x : tensor.data<float>()) {
    x = random.normal();
  }
  return tensor;
}

/// The output for `x` with running statistics, without dropout.
inline Tensor evaluate(Graph& net, const Tensor& x) {
  Tape tape(nullptr, Tape::Mode::Inference);
  Context context{.tape = tape};
  return net.forward(context, tape.constant(x)).value();
}

/// One training step on the mean of the squared differences to `target`, by plain gradient descent: the loss.
inline double train_step(Graph& net, const Tensor& x, const Tensor& target, float rate, std::uint64_t step = 0) {
  net.clear_gradients();
  Tape tape;
  Context context{.tape = tape, .training = true, .seed = 5, .step = step};
  const Variable loss = autograd::mean_squared_error(net.forward(context, tape.constant(x)), target);
  tape.backward(loss);
  for (const NamedParameter& named : net.parameters()) {
    const auto gradient = named.parameter->gradient.data<float>();
    const auto value = named.parameter->value.data<float>();
    for (std::size_t i = 0; i < value.size(); ++i) {
      value[i] -= rate * gradient[i];
    }
  }
  return loss.value().item();
}

/// "" if the tensors are equal to the bit, else what differs.
inline std::string difference(const Tensor& expected, const Tensor& actual) {
  std::ostringstream text;
  if (expected.shape() != actual.shape() || expected.dtype() != actual.dtype()) {
    text << "expected " << expected.dtype() << expected.shape() << ", got " << actual.dtype() << actual.shape();
  } else if (std::memcmp(expected.raw(), actual.raw(), expected.bytes()) != 0) {
    std::size_t byte = 0;
    while (expected.raw()[byte] == actual.raw()[byte]) {
      ++byte;
    }
    const std::size_t i = byte / size_of(expected.dtype());
    text << "element " << i << " differs";
    if (expected.dtype() == DType::F32) {
      text << ": expected " << expected.data<float>()[i] << ", got " << actual.data<float>()[i];
    }
  }
  return text.str();
}

}  // namespace detent::nn
