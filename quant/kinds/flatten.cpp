#include "detent/nn/modules/flatten.h"

#include "detent/quant/kinds/rows.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {

Kinds flatten_kinds() {
  Kind kind = kind_of_class<nn::Flatten>();
  kind.prepare = &prepare_unchanged;
  kind.keeps_map = true;
  kind.lower = [](const nn::Graph::Node&, std::span<const runtime::ValueType>) {
    return Lowered{.op = runtime::Reshape()};
  };
  return {{"flatten", kind}};
}

}  // namespace detent::quant
