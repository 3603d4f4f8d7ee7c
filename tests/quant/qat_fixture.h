#pragma once

#include <string>
#include <vector>

#include "detent/autograd/ops.h"
#include "detent/core/philox.h"
#include "detent/evaluation/verify.h"
#include "detent/nn/graph.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/module_op.h"
#include "detent/quant/passes/prepare.h"
#include "detent/runtime/plan.h"
#include "tests/data/temp_folder.h"
#include "tests/error_of.h"

/// Small networks and data for tests of the passes.
namespace detent::test {

inline Tensor random_images(const Shape& example, std::int64_t count, std::uint64_t seed, float low = 0.0F,
                            float high = 1.0F) {
  Tensor images = Tensor::empty(example.batched(count), DType::F32);
  RandomStream random(seed, "test images");
  for (float& x : images.data<float>()) {
    x = random.uniform(low, high);
  }
  return images;
}

inline Tensor random_labels(std::int64_t count, std::int64_t classes, std::uint64_t seed) {
  Tensor labels = Tensor::empty({count}, DType::S32);
  RandomStream random(seed, "test labels");
  for (std::int32_t& label : labels.data<std::int32_t>()) {
    label = static_cast<std::int32_t>(random.index(static_cast<std::uint32_t>(classes)));
  }
  return labels;
}

/// One step of plain gradient descent; the loss before it.
inline double train_step(nn::Graph& graph, const Tensor& images, const Tensor& labels, float rate,
                         std::uint64_t step = 0, Arena* arena = nullptr) {
  graph.clear_gradients();
  double loss = 0.0;
  {
    autograd::Tape tape(arena);
    nn::Context context{.tape = tape, .training = true, .step = step};
    const autograd::Variable output = graph.forward(context, tape.constant(images));
    const autograd::Variable loss_value = autograd::cross_entropy(autograd::flatten(output), labels);
    loss = loss_value.value().item();
    if (loss_value.needs_grad()) {  // else nothing that is learned leads to the result
      tape.backward(loss_value);
    }
  }
  for (const nn::NamedParameter& named : graph.parameters()) {
    if (named.parameter->gradient.defined()) {
      const std::span<const float> gradient = named.parameter->gradient.data<float>();
      const std::span<float> value = named.parameter->value.data<float>();
      for (std::size_t i = 0; i < value.size(); ++i) {
        value[i] -= rate * gradient[i];
      }
    }
  }
  return loss;
}

inline Tensor infer(nn::Graph& graph, const Tensor& images, const nn::Graph::Tap& tap = {}) {
  autograd::Tape tape(nullptr, autograd::Tape::Mode::Inference);
  nn::Context context{tape};
  return graph.forward(context, tape.constant(images), tap).value();
}

/// The result of a model's plan.
inline Tensor infer(const runtime::Model& model, const Tensor& images) {
  runtime::Plan plan(model, images.shape()[0]);
  return plan.run(images).clone();
}

/// The number of the node of this name.
inline std::size_t index_of(const runtime::Model& model, std::string_view name) {
  for (std::size_t i = 0; i < model.nodes.size(); ++i) {
    if (model.nodes[i].name == name) {
      return i;
    }
  }
  fail("test: no node ", name);
}

/// The operation of type O of the node of this name, for changes.
template <typename O>
O& op_of(runtime::Model& model, std::string_view name) {
  return std::get<O>(model.nodes[index_of(model, name)].op);
}

/// A model read back from its file.
inline runtime::Model through_file(const runtime::Model& model, const quant::Kinds& kinds = quant::standard_kinds()) {
  return runtime::from_file(runtime::to_file({.model = model}), quant::custom_ops_of(kinds)).model;
}

/// Every kind that the passes know: conv + batch norm + relu, depthwise, residual add, average pools, max-pool, a
/// sigmoid that stays in float, relu behind a pool, dropout, linear + batch norm.
inline nn::Graph everything_net() {
  nn::Graph net;
  auto x = net.input({12, 12, 3});
  x = net.conv2d(x, {.out_channels = 8, .kernel = 3, .padding = 1, .bias = false, .name = "conv1"});
  x = net.batch_norm(x, {.name = "bn1"});
  auto a = net.relu(x);
  auto b = net.conv2d(a, {.out_channels = 8, .kernel = 3, .padding = 1, .groups = 8, .name = "depthwise"});
  b = net.activation(b, kernels::Activation::Sigmoid, "sigmoid");
  b = net.conv2d(b, {.out_channels = 8, .kernel = 1, .name = "pointwise"});
  x = net.relu(net.add(a, b, "residual"));
  x = net.avg_pool(x, {.kernel = 2, .name = "average"});
  x = net.conv2d(x, {.out_channels = 16, .kernel = 3, .stride = 2, .padding = 1, .dilation = 1, .name = "conv2"});
  x = net.max_pool(x, {.kernel = 2, .stride = 1, .name = "max"});
  x = net.relu(x);
  x = net.dropout(net.flatten(x), 0.25, "dropout");
  x = net.linear(x, {.out_features = 20, .bias = false, .name = "fc1"});
  x = net.batch_norm(x, {.affine = false, .name = "bn2"});
  x = net.relu(x);
  net.output(net.linear(x, {.out_features = 5, .name = "fc2"}));
  return net;
}

/// conv - relu - max-pool - linear: the shape of mnist-cnn.
inline nn::Graph plain_net() {
  nn::Graph net;
  auto x = net.input({8, 8, 1});
  x = net.relu(net.conv2d(x, {.out_channels = 4, .kernel = 3, .name = "conv"}));
  x = net.flatten(net.max_pool(x, {.kernel = 2, .name = "pool"}));
  net.output(net.linear(x, {.out_features = 3, .name = "fc"}));
  return net;
}

}  // namespace detent::test
