#include "detent/nn/modules/softmax.h"

#include <nlohmann/json.hpp>

#include "detent/io/options.h"

namespace detent::nn {

nlohmann::json Softmax::options() const { return nlohmann::json::object(); }

std::shared_ptr<Module> Softmax::from_options(const nlohmann::json& options) {
  read_options<NoOptions>("softmax", options);
  return std::make_shared<Softmax>();
}

Shape Softmax::output_shape(std::span<const Shape> inputs) const {
  check(inputs[0].rank() >= 1, "softmax: expected an input with channels, got a scalar");
  return inputs[0];
}

Variable Softmax::forward(Context&, std::span<const Variable> inputs) { return autograd::softmax(inputs[0]); }

}  // namespace detent::nn
