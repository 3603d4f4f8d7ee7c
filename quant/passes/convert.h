#pragma once

#include "detent/quant/passes/ledger.h"
#include "detent/runtime/model.h"

namespace detent::quant {

struct Converted {
  runtime::Model model;
  std::vector<LedgerRow> ledger;
};

/// Makes the int8 model from a prepared and frozen graph: an operation a node, of its name, in its order; dropout of
/// codes is dropped. A pure function of the stored scales, zero points and weights: nothing is observed again. What
/// stays in float, and why, was decided when the graph was prepared; `keep_float` are names and patterns that are meant
/// to be in float besides, for the ledger. `kinds` says what each module becomes: see prepare. Throws Error, naming the
/// module, if a range is not frozen, for a graph that was never prepared, and for a module whose kind has no row.
Converted convert(const nn::Graph& prepared, const std::vector<std::string>& keep_float = {},
                  const Kinds& kinds = standard_kinds());

}  // namespace detent::quant
