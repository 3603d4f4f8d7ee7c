#pragma once

#include <string>
#include <vector>

#include "nn/graph.h"

namespace detent::quant {

/// What became of one module.
struct LedgerRow {
  std::string name = {};
  std::string kind = {};          ///< in the converted graph: "int8_conv2d", "max_pool2d", "linear"
  std::string precision = {};     ///< "int8" or "float"
  std::string reason = {};        ///< "u8 x s8 per channel, sums below 2^24", "kept in float by the recipe"
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
/// function of the stored scales, zero points and weights: nothing is observed again. `keep_float` are the names and
/// patterns that were kept in float on purpose, for the ledger. Throws Error if a range is not frozen, naming the
/// module.
Converted convert(const nn::Graph& prepared, const std::vector<std::string>& keep_float = {});

/// Throws Error naming the modules that stayed in float unasked, if any did.
void check_strict(const std::vector<LedgerRow>& ledger);

/// The ledger as a table for people.
std::string to_text(const std::vector<LedgerRow>& ledger);

/// All kinds that a file can hold: nn's, the prepared and the int8 ones.
const nn::ModuleKinds& module_kinds();

}  // namespace detent::quant
