#pragma once

#include <string>
#include <vector>

#include "detent/quant/kinds/kinds.h"

namespace detent::quant {

/// What became of one module.
struct LedgerRow {
  std::string name = {};
  std::string kind = {};          ///< in the converted graph: "int8_conv2d", "max_pool2d", "linear"
  std::string precision = {};     ///< "int8" or "float"
  std::string reason = {};        ///< "u8 x s8 per channel, sums below 2^24", "kept in float as asked by 'fc*'"
  bool is_unasked_float = false;  ///< in float although nobody asked for it
  /// The largest |sum + bias| that any input can give. Below 2^24 the sums are exact in f32, so that integer-only
  /// targets, which add the bias to the accumulator, give the same codes. 0 where there are no sums.
  std::int64_t sum_bound = 0;
};

struct Converted {
  nn::Graph graph;
  std::vector<LedgerRow> ledger;
};

/// Makes the int8 graph from a prepared and frozen one: qat_conv2d -> int8_conv2d and so on, dropout dropped. A pure
/// function of the stored scales, zero points and weights: nothing is observed again. What stays in float, and why, was
/// decided when the graph was prepared; `keep_float` are names and patterns that are meant to be in float besides, for
/// the ledger. `kinds` copies what is kept: see prepare. Throws Error, naming the module, if a range is not frozen, for
/// a graph that was never prepared or is converted already, and for a module that cannot be copied.
Converted convert(const nn::Graph& prepared, const std::vector<std::string>& keep_float = {},
                  const nn::ModuleKinds& kinds = module_kinds());

/// What convert will make of a prepared graph, before a range was observed: the same float rows, and the others in
/// brief.
std::vector<LedgerRow> ledger_of(const nn::Graph& prepared, const std::vector<std::string>& keep_float = {});

/// Throws Error naming the modules that stayed in float unasked, if any did.
void check_strict(const std::vector<LedgerRow>& ledger);

/// The ledger as a table for people.
std::string to_text(const std::vector<LedgerRow>& ledger);

}  // namespace detent::quant
