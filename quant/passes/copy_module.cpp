#include "detent/quant/passes/copy_module.h"

#include <nlohmann/json.hpp>

#include "detent/quant/kinds/kinds.h"

namespace detent::quant {

void copy_slots(nn::Module& from, nn::Module& to) {
  const std::vector<nn::Slot> source = from.slots();
  const std::vector<nn::Slot> target = to.slots();
  check(source.size() == target.size(), from.name(), ": the copy does not own what the original does");
  for (std::size_t i = 0; i < source.size(); ++i) {
    *target[i].tensor = source[i].tensor->defined() ? source[i].tensor->clone() : Tensor();
    if (source[i].parameter && target[i].parameter) {
      target[i].parameter->decay = source[i].parameter->decay;
    }
  }
  to.loaded();
}

bool is_quantized_kind(std::string_view kind) {
  return module_kinds().contains(kind) && !nn::module_kinds().contains(kind);
}

std::shared_ptr<nn::Module> clone_module(const nn::Graph::Node& node, const nn::ModuleKinds& kinds) {
  const std::string_view kind = node.module->kind();
  const auto row = kinds.find(kind);
  check(row != kinds.end(), node.name, ": cannot be copied: the kinds have no row '", kind,
        "'; pass a copy of quant::module_kinds() with a row for it");
  std::shared_ptr<nn::Module> copy = row->second(node.module->options());
  check(copy != nullptr && type_of(*copy) == type_of(*node.module), node.name, ": cannot be copied: the kinds' row '",
        kind, "' makes a module of another class; give your module a kind of its own, and the kinds a row for it");
  copy_slots(*node.module, *copy);
  return copy;
}

}  // namespace detent::quant
