// Trains a network on the built-in digits, trains it on for int8, converts it, proves on the test set that the file
// computes what was trained, and says how often both are right.
#include <cstdio>

#include "detent/detent.h"

using namespace detent;

int main(int, char** argv) try {
  const data::DataSource digits = data::make_digits({.train = 6000, .test = 1000});
  nn::Graph net;
  auto x = net.input({28, 28, 1});
  x = net.relu(net.conv2d(x, {.out_channels = 8, .kernel = 3, .stride = 2}));
  net.output(net.linear(net.flatten(x), {.out_features = 10}));
  net.initialize(1);

  evaluation::Reporter silent;
  const train::TrainOptions options{.train = {.batch = 64}, .seed = 1};
  train::train_phase(net, digits.train, options, {.name = "float", .epochs = 2, .learning_rate = 3e-3}, silent);

  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());  // int8 everywhere
  train::train_phase(qat, digits.train, options, {.name = "qat", .epochs = 1, .learning_rate = 3e-4}, silent);
  evaluation::settle_ranges(qat, digits.train, {}, 512, 1, silent);

  const std::string file = std::string(argv[0]) + ".int8.h5";
  runtime::save_model({.model = quant::convert(qat).model}, file);
  const runtime::Model int8 = runtime::load_model(file).model;

  const evaluation::VerifyReport report = evaluation::verify(qat, int8, digits.test, {}, silent);
  const double before = evaluation::evaluate(net, digits.test, {}, silent).accuracy();
  const double after = evaluation::evaluate(int8, digits.test, {}, silent).accuracy();
  std::printf("float %.2f %%, int8 %.2f %%; %lld codes compared, %lld differ\n", 100 * before, 100 * after,
              static_cast<long long>(report.codes_compared), static_cast<long long>(report.codes_mismatched));
  return report.passed() ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
