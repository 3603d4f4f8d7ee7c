#include "nn/structure.h"

#include <nlohmann/json.hpp>

#include "nn/options.h"

namespace detent::nn {

Dropout::Dropout(Options options) : options_(std::move(options)) {
  check(options_.p >= 0.0 && options_.p < 1.0, "dropout: p: expected 0 <= p < 1, got ", options_.p);
}

nlohmann::json Dropout::options() const { return {{"p", options_.p}}; }

std::shared_ptr<Module> Dropout::from_options(const nlohmann::json& options) {
  OptionReader reader("dropout", options);
  Options read{.p = reader.real("p", Options{}.p)};
  reader.finish();
  return std::make_shared<Dropout>(std::move(read));
}

Variable Dropout::forward(Context& context, std::span<const Variable> inputs) {
  if (!context.training || options_.p == 0.0) {
    return inputs[0];
  }
  return autograd::dropout(inputs[0], options_.p, random_of(context, *this, "dropout"));
}

nlohmann::json Flatten::options() const { return nlohmann::json::object(); }

std::shared_ptr<Module> Flatten::from_options(const nlohmann::json& options) {
  OptionReader("flatten", options).finish();
  return std::make_shared<Flatten>();
}

Variable Flatten::forward(Context&, std::span<const Variable> inputs) { return autograd::flatten(inputs[0]); }

nlohmann::json Add::options() const { return nlohmann::json::object(); }

std::shared_ptr<Module> Add::from_options(const nlohmann::json& options) {
  OptionReader("add", options).finish();
  return std::make_shared<Add>();
}

Shape Add::output_shape(std::span<const Shape> inputs) const {
  check(inputs[0] == inputs[1], "add: expected two inputs of one shape, got ", inputs[0], " and ", inputs[1]);
  return inputs[0];
}

Variable Add::forward(Context&, std::span<const Variable> inputs) { return autograd::add(inputs[0], inputs[1]); }

}  // namespace detent::nn
