#include "detent/nn/modules/dropout.h"

#include <nlohmann/json.hpp>

namespace detent::nn {

void Dropout::Options::describe(OptionList& list) {
  list.real("p", p, {.min = 0.0, .max = 1.0, .is_open_above = true}, "the share of elements that training drops");
}

Dropout::Dropout(Options options) : options_(std::move(options)) { check_options(kind(), options_); }

nlohmann::json Dropout::options() const { return write_options(options_); }

std::shared_ptr<Module> Dropout::from_options(const nlohmann::json& options) {
  return std::make_shared<Dropout>(read_options<Options>("dropout", options));
}

Variable Dropout::forward(Context& context, std::span<const Variable> inputs) {
  if (!context.training || options_.p == 0.0) {
    return inputs[0];
  }
  return autograd::dropout(inputs[0], options_.p, random_of(context, *this, "dropout"));
}

}  // namespace detent::nn
