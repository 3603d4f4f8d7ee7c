#include "detent/nn/modules/batch_norm.h"

#include "detent/quant/kinds/rows.h"
#include "detent/quant/passes/preparation.h"

namespace detent::quant {

Kinds batch_norm_kinds() {
  Kind kind = kind_of_class<nn::BatchNorm>();
  kind.lower = [](const nn::Graph::Node& node, std::span<const runtime::ValueType>) {
    auto& norm = module_of<nn::BatchNorm>(node);
    return Lowered{.op = runtime::BatchNorm{.mean = copy_of(norm.running_mean()),
                                            .variance = copy_of(norm.running_variance()),
                                            .weight = copy_of(norm.weight().value),
                                            .bias = copy_of(norm.bias().value),
                                            .epsilon = norm.settings().epsilon}};
  };
  return {{"batch_norm", kind}};
}

}  // namespace detent::quant
