#include "detent/nn/modules/flatten.h"

#include <nlohmann/json.hpp>

#include "detent/io/options.h"

namespace detent::nn {

nlohmann::json Flatten::options() const { return nlohmann::json::object(); }

std::shared_ptr<Module> Flatten::from_options(const nlohmann::json& options) {
  read_options<NoOptions>("flatten", options);
  return std::make_shared<Flatten>();
}

Variable Flatten::forward(Context&, std::span<const Variable> inputs) { return autograd::flatten(inputs[0]); }

}  // namespace detent::nn
