#include "detent/nn/modules/dropout.h"

#include <nlohmann/json.hpp>

#include "detent/io/option_reader.h"

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

}  // namespace detent::nn
