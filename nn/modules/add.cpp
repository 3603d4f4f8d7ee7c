#include "detent/nn/modules/add.h"

#include <nlohmann/json.hpp>

namespace detent::nn {

void Add::Options::describe(OptionList& list) {
  list.boolean("relu", relu, "whether max(0, .) follows in the module's own kernel", relu);
}

nlohmann::json Add::options() const { return write_options(options_); }

std::shared_ptr<Module> Add::from_options(const nlohmann::json& options) {
  return std::make_shared<Add>(read_options<Options>("add", options));
}

Shape Add::output_shape(std::span<const Shape> inputs) const {
  check(inputs[0] == inputs[1], "add: expected two inputs of one shape, got ", inputs[0], " and ", inputs[1]);
  return inputs[0];
}

Variable Add::forward(Context&, std::span<const Variable> inputs) {
  return autograd::add(inputs[0], inputs[1], options_.relu);
}

}  // namespace detent::nn
