#include "detent/quant/kinds/rows.h"

namespace detent::quant {

const Kinds& standard_kinds() {
  static const Kinds kinds = [] {
    Kinds all;
    for (Kinds (*const rows)() :
         {&product_kinds, &add_kinds, &concat_kinds, &softmax_kinds, &average_pool_kinds, &max_pool_kinds,
          &flatten_kinds, &activation_kinds, &dropout_kinds, &batch_norm_kinds, &quantize_kinds}) {
      all.merge(rows());
    }
    return all;
  }();
  return kinds;
}

const Kind& kind_of(const nn::Graph::Node& node, const Kinds& kinds) {
  const std::string_view kind = node.module->kind();
  const auto row = kinds.find(kind);
  check(row != kinds.end(), node.name, ": the kinds have no row '", kind,
        "'; pass a copy of quant::standard_kinds() with a row for it");
  check(row->second.type == nn::type_of(*node.module), node.name, ": the kinds' row '", kind,
        "' is of modules of another class; give your module a kind of its own, and the kinds a row for it");
  return row->second;
}

nn::ModuleKinds factories_of(const Kinds& kinds) {
  nn::ModuleKinds factories;
  for (const auto& [name, kind] : kinds) {
    factories[name] = kind.make;
  }
  return factories;
}

}  // namespace detent::quant
