#include "detent/nn/module.h"

namespace detent::nn {

RandomStream random_of(const Context& context, const Module& module, std::string_view purpose) {
  const std::string_view node = context.node.empty() ? std::string_view(module.name()) : context.node;
  return {context.seed, std::string(purpose) + "/" + std::string(node), context.step};
}

Variable on_tape(Context& context, const Module& owner, Parameter& parameter) {
  check(parameter.value.defined(), owner.name().empty() ? owner.kind() : owner.name(),
        ": its weights are not set: call Graph::initialize or load a model");
  return context.tape.parameter(parameter.value, &parameter.gradient);
}

void allocate(Tensor& tensor, const Shape& shape) {
  if (tensor.defined() && tensor.shape() == shape && tensor.dtype() == DType::F32) {
    tensor.fill_zero();
  } else {
    tensor = Tensor::zeros(shape, DType::F32);
  }
}

std::int64_t parameter_count(Module& module) {
  std::int64_t count = 0;
  for (const Slot& slot : module.slots()) {
    if (slot.parameter != nullptr || slot.is_code) {
      count += slot.tensor->defined() ? slot.tensor->elements() : slot.shape.elements();
    }
  }
  return count;
}

}  // namespace detent::nn
