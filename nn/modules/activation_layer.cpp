#include "detent/nn/modules/activation_layer.h"

#include <nlohmann/json.hpp>

namespace detent::nn {

void ActivationLayer::Options::describe(OptionList& list) {
  list.choice("function", function, kernels::activation_names(), "which function it is");
  list.real("slope", slope, {}, "of `leaky_relu`, for x < 0", function == kernels::Activation::LeakyRelu);
}

ActivationLayer::ActivationLayer(Options options) : options_(std::move(options)) { check_options(kind(), options_); }

nlohmann::json ActivationLayer::options() const { return write_options(options_); }

std::shared_ptr<Module> ActivationLayer::from_options(const nlohmann::json& options) {
  return std::make_shared<ActivationLayer>(read_options<Options>("activation", options));
}

Variable ActivationLayer::forward(Context&, std::span<const Variable> inputs) {
  return autograd::activation(inputs[0], options_.function, options_.slope);
}

}  // namespace detent::nn
