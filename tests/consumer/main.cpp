// Trains a small network on the built-in digits, quantizes it, and checks that the int8 model computes what was
// trained.
#include <cstdio>
#include <exception>

#include "detent/autograd/ops.h"
#include "detent/data/digits.h"
#include "detent/data/loader.h"
#include "detent/evaluation/verify.h"
#include "detent/nn/graph.h"
#include "detent/optim/adam.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/passes/prepare.h"

using namespace detent;

nn::Graph make_network() {
  nn::Graph net;
  auto x = net.input({28, 28, 1});
  x = net.conv2d(x, {.out_channels = 8, .kernel = 3, .stride = 2, .name = "conv"});
  x = net.relu(x);
  net.output(net.linear(net.flatten(x), {.out_features = 10, .name = "fc"}));
  net.initialize(1);
  return net;
}

// One epoch. Returns the mean loss.
double train(nn::Graph& net, const data::Dataset& digits, double learning_rate) {
  std::vector<optim::ParameterRef> parameters;
  for (auto& [name, parameter] : net.parameters()) {
    parameters.push_back({name, &parameter->value, &parameter->gradient, parameter->decay});
  }
  optim::Adam adam(optim::groups_by_decay(parameters, 0.0));
  data::Loader loader(digits, {.batch = 64, .shuffle = true, .seed = 1});
  Arena arena;  // the memory of a step, used again by the next
  double loss = 0;
  for (data::Batch batch; loader.next(batch);) {
    autograd::Tape tape(&arena);
    nn::Context context{.tape = tape, .training = true};
    const auto logits = net.forward(context, tape.constant(batch.images));
    const auto batch_loss = autograd::cross_entropy(logits, batch.labels);
    tape.backward(batch_loss);
    adam.step(learning_rate);
    net.clear_gradients();
    loss += batch_loss.value().item() / static_cast<double>(loader.batches_per_epoch());
  }
  return loss;
}

int main() try {
  const data::DataSource digits = data::make_digits({.train = 3200, .test = 500, .seed = 1});
  nn::Graph net = make_network();
  const double first = train(net, digits.train, 3e-3);
  const double second = train(net, digits.train, 3e-3);

  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());  // int8 everywhere
  train(qat, digits.train, 3e-4);
  quant::freeze_observers(qat);
  const quant::Converted int8 = quant::convert(qat);

  evaluation::Verifier verifier(qat, int8.model);
  data::Loader test(digits.test, {.batch = 100});
  for (data::Batch batch; test.next(batch);) {
    verifier.feed(batch.images);
  }
  const evaluation::VerifyReport report = verifier.report();
  std::printf("loss %.3f, then %.3f; %lld codes compared, %lld differ\n", first, second,
              static_cast<long long>(report.codes_compared), static_cast<long long>(report.codes_mismatched));
  return second < first && report.codes_compared > 0 && report.passed() ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "consumer: %s\n", error.what());
  return 1;
}
