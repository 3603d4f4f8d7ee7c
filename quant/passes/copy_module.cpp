#include "detent/quant/passes/copy_module.h"

#include <nlohmann/json.hpp>

namespace detent::quant {

Tensor copy_of(const Tensor& tensor) { return tensor.defined() ? tensor.clone() : Tensor(); }

void copy_slots(nn::Module& from, nn::Module& to) {
  const std::vector<nn::Slot> source = from.slots();
  const std::vector<nn::Slot> target = to.slots();
  check(source.size() == target.size(), from.name(), ": the copy does not own what the original does");
  for (std::size_t i = 0; i < source.size(); ++i) {
    *target[i].tensor = copy_of(*source[i].tensor);
    if (source[i].parameter && target[i].parameter) {
      target[i].parameter->decay = source[i].parameter->decay;
    }
  }
  to.loaded();
}

std::shared_ptr<nn::Module> clone_module(const nn::Graph::Node& node, const Kinds& kinds) {
  const Kind& kind = kind_of(node, kinds);
  std::shared_ptr<nn::Module> copy = kind.make(node.module->options());
  check(copy != nullptr && nn::type_of(*copy) == kind.type, node.name, ": cannot be copied: the kinds' row '",
        node.module->kind(), "' makes a module of another class than it says");
  copy_slots(*node.module, *copy);
  return copy;
}

std::optional<FloatProduct> float_product(nn::Module* module) {
  if (auto* const conv = nn::exactly<nn::Conv2d>(module)) {
    return FloatProduct{&conv->weight(), &conv->bias(), conv->settings().groups};
  }
  if (auto* const linear = nn::exactly<nn::Linear>(module)) {
    return FloatProduct{&linear->weight(), &linear->bias(), 1};
  }
  return std::nullopt;
}

}  // namespace detent::quant
