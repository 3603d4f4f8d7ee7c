#include "detent/nn/modules/add.h"

#include <nlohmann/json.hpp>

#include "detent/io/options.h"

namespace detent::nn {

nlohmann::json Add::options() const { return nlohmann::json::object(); }

std::shared_ptr<Module> Add::from_options(const nlohmann::json& options) {
  read_options<NoOptions>("add", options);
  return std::make_shared<Add>();
}

Shape Add::output_shape(std::span<const Shape> inputs) const {
  check(inputs[0] == inputs[1], "add: expected two inputs of one shape, got ", inputs[0], " and ", inputs[1]);
  return inputs[0];
}

Variable Add::forward(Context&, std::span<const Variable> inputs) { return autograd::add(inputs[0], inputs[1]); }

}  // namespace detent::nn
