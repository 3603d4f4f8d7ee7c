// Which module computes a function of one value: found by its values, not by how it is written.
#include <algorithm>
#include <array>
#include <cmath>

#include "detent/interchange/onnx/in/operations.h"
#include "detent/nn/modules/activation_layer.h"
#include "detent/nn/modules/batch_norm.h"

namespace detent::onnx {
namespace {

/// Constants in files are f32, and so are results: functions are the same within that.
constexpr double kTolerance = 1e-5;

using kernels::Activation;

std::vector<double> make_points() {
  std::vector<double> points;
  for (int i = -200; i <= 200; ++i) {
    points.push_back(i / 10.0 + 0.0125);  // no kink is hit
  }
  for (const double far : {30.0, 100.0, 1000.0}) {
    points.push_back(-far);
    points.push_back(far);
  }
  return points;
}

template <typename Fn>
bool agrees(std::span<const double> values, Fn&& fn) {
  const std::span<const double> points = function_points();
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double expected = fn(points[i]);
    if (!(std::fabs(values[i] - expected) <= kTolerance * std::max(1.0, std::fabs(expected)))) {
      return false;
    }
  }
  return true;
}

std::shared_ptr<nn::Module> affine(double a, double b, std::int64_t channels) {
  check(channels <= kLargestRow, "it has ", channels, " channels; expected at most ", kLargestRow);
  nn::BatchNorm::Options options;
  options.channels = channels;
  auto module = std::make_shared<nn::BatchNorm>(options);
  module->weight().value = Tensor::full({channels}, DType::F32, a * std::sqrt(1.0 + options.epsilon));
  module->bias().value = Tensor::full({channels}, DType::F32, b);
  module->running_mean() = Tensor::full({channels}, DType::F32, 0.0);
  module->running_variance() = Tensor::full({channels}, DType::F32, 1.0);
  return module;
}

}  // namespace

std::span<const double> function_points() {
  static const std::vector<double> points = make_points();
  return points;
}

std::optional<std::shared_ptr<nn::Module>> module_of_function(std::span<const double> values, std::int64_t channels) {
  const std::span<const double> points = function_points();
  if (agrees(values, [](double x) { return x; })) {
    return std::shared_ptr<nn::Module>();
  }
  const auto made = [](Activation function, double slope = kernels::kLeakySlope) {
    return std::make_shared<nn::ActivationLayer>(nn::ActivationLayer::Options{.function = function, .slope = slope});
  };
  const double slope = values[0] / points[0];
  const double a = (values[1] - values[0]) / (points[1] - points[0]);
  const double b = values[0] - a * points[0];
  const auto sigmoid = [](double x) { return 1.0 / (1.0 + std::exp(-x)); };
  if (agrees(values, [](double x) { return std::max(x, 0.0); })) {
    return made(Activation::Relu);
  }
  if (agrees(values, [](double x) { return std::clamp(x, 0.0, 6.0); })) {
    return made(Activation::Relu6);
  }
  if (agrees(values, [&](double x) { return x > 0.0 ? x : slope * x; })) {
    return made(Activation::LeakyRelu, static_cast<float>(slope));
  }
  if (agrees(values, sigmoid)) {
    return made(Activation::Sigmoid);
  }
  if (agrees(values, [](double x) { return std::tanh(x); })) {
    return made(Activation::Tanh);
  }
  if (agrees(values, [](double x) { return x * (1.0 + std::erf(x / std::sqrt(2.0))) / 2.0; })) {
    return made(Activation::Gelu);
  }
  if (agrees(values, [](double x) { return x * std::clamp(x + 3.0, 0.0, 6.0) / 6.0; })) {
    return made(Activation::HardSwish);
  }
  if (agrees(values, [&](double x) { return x * sigmoid(x); })) {
    return made(Activation::Silu);
  }
  if (std::isfinite(a) && std::isfinite(b) && agrees(values, [&](double x) { return a * x + b; })) {
    return affine(a, b, channels);
  }
  return std::nullopt;
}

}  // namespace detent::onnx
