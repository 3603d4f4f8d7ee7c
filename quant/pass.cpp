#include "quant/pass.h"

#include <nlohmann/json.hpp>

#include "quant/convert.h"

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

std::shared_ptr<nn::Module> clone_module(nn::Module& module) {
  std::shared_ptr<nn::Module> copy = module_kinds().find(module.kind())->second(module.options());
  copy_slots(module, *copy);
  return copy;
}

std::optional<std::size_t> sole_consumer(const nn::Graph& graph, std::size_t index) {
  const nn::Graph::Handle handle{index};
  if (graph.consumers(handle) != 1 || graph.output() == handle) {
    return std::nullopt;
  }
  return graph.last_reader(handle).index;
}

}  // namespace detent::quant
