#include "detent/nn/modules/linear.h"

#include <nlohmann/json.hpp>

namespace detent::nn {

void Linear::Options::describe(OptionList& list) {
  list.integer("out_features", out_features, {.min = 1, .must_be_set = true}, "outputs");
  list.boolean("bias", bias, "whether there is a bias");
  list.choice("init", init, init_names(), "how weights start");
  list.boolean("relu", relu, "whether max(0, .) follows in the module's own kernel");
  list.integer("in_features", in_features, {}, "inputs; 0: taken from the input");
}

Linear::Linear(Options options) : options_(std::move(options)) { check_options(kind(), options_); }

nlohmann::json Linear::options() const { return write_options(options_); }

std::shared_ptr<Module> Linear::from_options(const nlohmann::json& options) {
  return std::make_shared<Linear>(read_options<Options>("linear", options));
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
