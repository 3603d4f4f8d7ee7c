#include "detent/nn/modules/activation_layer.h"

#include <nlohmann/json.hpp>

#include "detent/io/option_reader.h"

namespace detent::nn {

nlohmann::json ActivationLayer::options() const {
  nlohmann::json json{{"function", kernels::name_of(options_.function)}};
  if (options_.function == kernels::Activation::LeakyRelu) {
    json["slope"] = options_.slope;
  }
  return json;
}

std::shared_ptr<Module> ActivationLayer::from_options(const nlohmann::json& options) {
  OptionReader reader("activation", options);
  const Options defaults;
  Options read{.function = kernels::activation_from_name(reader.text("function", kernels::name_of(defaults.function))),
               .slope = reader.real("slope", defaults.slope)};
  reader.finish();
  return std::make_shared<ActivationLayer>(std::move(read));
}

Variable ActivationLayer::forward(Context&, std::span<const Variable> inputs) {
  return autograd::activation(inputs[0], options_.function, options_.slope);
}

}  // namespace detent::nn
