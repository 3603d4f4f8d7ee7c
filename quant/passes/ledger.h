#pragma once

#include <string>
#include <vector>

#include "detent/quant/kinds/kind.h"

namespace detent::quant {

/// What became of one module.
struct LedgerRow {
  std::string name = {};
  std::string kind = {};          ///< in the converted model: "int8_conv2d", "max_pool2d", "linear"
  std::string precision = {};     ///< "int8", "weights" where they alone are codes, or "float"
  std::string reason = {};        ///< "u8 x s8 per channel, sums of 19 bits", "kept in float as asked by 'fc*'"
  bool is_unasked_float = false;  ///< in float although nobody asked for it
  /// The largest |sum + bias| that any input can give. Below 2^24 the sums are exact in f32, so that integer-only
  /// targets, which add the bias to the accumulator, give the same codes. 0 where there are no sums.
  std::int64_t sum_bound = 0;
  int sum_bits = 0;  ///< of the smallest two's complement accumulator that holds every sum + bias; 0 likewise
};

/// What convert will make of a prepared graph, before a range was observed: the same float rows, and the others in
/// brief.
std::vector<LedgerRow> ledger_of(const nn::Graph& prepared, const std::vector<std::string>& keep_float = {},
                                 const Kinds& kinds = standard_kinds());

/// What is said of a module that stays in float: what the pass that prepared it noted, unless it is in `keep_float`.
LedgerRow float_row(const nn::Graph::Node& node, const Kinds& kinds, const std::vector<std::string>& keep_float);
/// Throws Error unless some pass made `graph`: a float graph that none of its modules keeps in float on purpose was
/// never prepared.
void check_prepared(const nn::Graph& graph, const Kinds& kinds);

/// Throws Error naming the modules that stayed in float unasked, if any did.
void check_strict(const std::vector<LedgerRow>& ledger);

/// The ledger as a table for people.
std::string to_text(const std::vector<LedgerRow>& ledger);

}  // namespace detent::quant
