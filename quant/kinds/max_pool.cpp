#include "detent/nn/modules/pool2d.h"
#include "detent/quant/kinds/rows.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {

Kinds max_pool_kinds() {
  Kind kind = kind_of_class<nn::MaxPool2d>();
  kind.prepare = &prepare_unchanged;
  kind.keeps_map = true;
  kind.lower = [](const nn::Graph::Node& node, std::span<const runtime::ValueType> inputs) {
    const auto& pool = module_of<nn::MaxPool2d>(node);
    return Lowered{.op = runtime::Pool{.kind = runtime::PoolKind::Max, .shape = pool.pool_shape(inputs[0].shape, 1)}};
  };
  return {{"max_pool2d", kind}};
}

}  // namespace detent::quant
