#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <typeindex>

#include "detent/nn/graph.h"
#include "detent/quant/quantizers/qconfig.h"
#include "detent/runtime/model.h"

/// What the passes know of modules: one row a kind. Who has modules of his own passes a copy of standard_kinds() with a
/// row for each of their kinds.
namespace detent::quant {

class Preparation;

/// What a module becomes in a converted model.
struct Lowered {
  std::optional<runtime::Op> op = {};  ///< none: whoever reads the module's result reads its first input
  std::string kind = {};               ///< what the ledger calls it; "": as the module's own kind
  std::string how = {};                ///< of integers: what the ledger says
  std::int64_t sum_bound = 0;          ///< see LedgerRow
  int sum_bits = 0;                    ///< likewise
};

/// Puts into the prepared graph what does the work of the node `node` of the float graph: passes/preparation.h.
using PrepareRule = std::function<void(Preparation& pass, std::size_t node, const QConfig& config)>;
/// The operation of a frozen module that gets `inputs`. Tensors are its own: they do not change with the module's.
using LowerRule = std::function<Lowered(const nn::Graph::Node& node, std::span<const runtime::ValueType> inputs)>;

struct Kind {
  std::type_index type;    ///< the class of its modules: one of another class is refused
  nn::ModuleFactory make;  ///< from options

  /// How a float module is quantized; empty: it stays in float, with a note.
  PrepareRule prepare = {};
  /// Which modules of the kind `prepare` is for; empty: all.
  std::function<bool(const nn::Module&)> can_prepare = {};
  /// Empty: the model holds the module itself, as a runtime::Custom that runs its forward pass.
  LowerRule lower = {};
  /// Whether it gives codes on the map that it gets them on, where it gets codes.
  bool keeps_map = false;
  /// Whether it stands in prepared graphs alone, and works on codes: "qat_conv2d", "quantize".
  bool is_prepared = false;

  bool has_int8_form(const nn::Module& module) const { return prepare && (!can_prepare || can_prepare(module)); }
};

using Kinds = std::map<std::string, Kind, std::less<>>;

/// All kinds of this library: those of nn, and those of prepared graphs.
const Kinds& standard_kinds();

/// The row of a module of class M that `M::from_options` makes and that stays in float: what a module of one's own
/// needs at least. Add rules to it as wanted:
///
///   quant::Kinds kinds = quant::standard_kinds();
///   kinds.emplace("my_scale", quant::kind_of_class<MyScale>());
template <typename M>
Kind kind_of_class() {
  return {.type = typeid(M), .make = &M::from_options};
}

/// The row of a node's module. Throws Error, naming the node and the mend, where there is none, or one of another
/// class.
const Kind& kind_of(const nn::Graph::Node& node, const Kinds& kinds);

/// What nn::load_model and Graph::clone make modules by.
nn::ModuleKinds factories_of(const Kinds& kinds = standard_kinds());

}  // namespace detent::quant
