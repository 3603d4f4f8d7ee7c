#include "detent/nn/modules/linear.h"

#include <nlohmann/json.hpp>

#include "detent/io/option_reader.h"

namespace detent::nn {

Linear::Linear(Options options) : options_(std::move(options)) {
  check(options_.out_features != 0, kind(), ": out_features: expected at least 1, got 0: set it");
  check_extent(kind(), "out_features", options_.out_features);
  check_extent(kind(), "in_features", options_.in_features, 0);
}

nlohmann::json Linear::options() const {
  return {{"out_features", options_.out_features},
          {"bias", options_.bias},
          {"init", name_of(options_.init)},
          {"relu", options_.relu},
          {"in_features", options_.in_features}};
}

std::shared_ptr<Module> Linear::from_options(const nlohmann::json& options) {
  OptionReader reader("linear", options);
  const Options defaults;
  Options read{.out_features = reader.integer("out_features", defaults.out_features),
               .bias = reader.boolean("bias", defaults.bias),
               .init = init_from_name(reader.text("init", name_of(defaults.init))),
               .relu = reader.boolean("relu", defaults.relu),
               .in_features = reader.integer("in_features", defaults.in_features)};
  reader.finish();
  return std::make_shared<Linear>(std::move(read));
}

kernels::ConvShape Linear::conv_shape(const Shape& example, std::int64_t batch) const {
  check(example.rank() == 1, "linear: expected vectors [I], got ", example, ": put a flatten before it");
  check(options_.in_features == 0 || example[0] == options_.in_features, "linear: expected ", options_.in_features,
        " input features, got ", example);
  return kernels::ConvShape::linear(batch, example[0], options_.out_features);
}

void Linear::bind(std::span<const Shape> inputs) {
  options_.in_features = conv_shape(inputs[0], 1).c;
  check_elements("linear: weight", weight_shape());
}

Shape Linear::output_shape(std::span<const Shape> inputs) const { return {conv_shape(inputs[0], 1).o}; }

Variable Linear::forward(Context& context, std::span<const Variable> inputs) {
  const Variable weight = on_tape(context, *this, weight_);
  const Variable bias = options_.bias ? on_tape(context, *this, bias_) : Variable();
  return autograd::linear(inputs[0], weight, bias, {.dtype = context.product_dtype, .relu = options_.relu});
}

std::vector<Slot> Linear::slots() {
  std::vector<Slot> slots{{"weight", &weight_.value, &weight_, weight_shape()}};
  if (options_.bias) {
    slots.push_back({"bias", &bias_.value, &bias_, Shape{options_.out_features}});
  }
  return slots;
}

void Linear::initialize(RandomStream& random) {
  check(options_.in_features > 0, "linear: in_features is not known: set it, or add the module to a graph");
  allocate(weight_.value, weight_shape());
  init_weight(weight_.value, options_.init, random);
  if (options_.bias) {
    allocate(bias_.value, {options_.out_features});
    init_bias(bias_.value, weight_shape(), options_.init, random);
  }
}

std::int64_t Linear::multiply_adds(std::span<const Shape> inputs) const {
  return conv_shape(inputs[0], 1).weight_elements();
}

}  // namespace detent::nn
