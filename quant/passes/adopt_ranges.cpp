#include <algorithm>
#include <cstring>

#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/passes/prepare.h"

namespace detent::quant {
namespace {

void adopt(FakeQuant& to, FakeQuant& from) {
  const std::vector<nn::Slot> given = from.slots();
  for (const nn::Slot& slot : to.slots()) {
    const auto same = std::ranges::find(given, slot.name, &nn::Slot::name);
    if (same != given.end() && same->shape == slot.shape && same->dtype == slot.dtype) {
      std::memcpy(slot.tensor->raw(), same->tensor->raw(), slot.tensor->bytes());
    }
  }
}

}  // namespace

void adopt_ranges(nn::Graph& prepared, const nn::Graph& calibrated) {
  for (const nn::Graph::Node& node : prepared.nodes()) {
    auto* const to = dynamic_cast<QuantizedOutput*>(node.module.get());
    if (to == nullptr) {
      continue;
    }
    const auto other = calibrated.find(node.name);
    auto* const from = other ? dynamic_cast<QuantizedOutput*>(calibrated.node(*other).module.get()) : nullptr;
    check(from != nullptr, "adopt_ranges: ", node.name, ": the calibrated graph has no quantizer of this name");
    from->output().check_range(node.name);
    adopt(to->output(), from->output());
  }
}

}  // namespace detent::quant
