#pragma once

#include <cstdint>

#include "detent/quant/kinds/kind.h"

namespace detent::quant {

/// A float graph as a model to run: batch norms that alone read a convolution or linear layer are folded into it; a
/// ReLU that alone reads a product or a sum is done by it, and a sum that alone reads a product is done with it.
/// Dropout is dropped. Fused operations keep the first one's name. Results differ from the graph's in the last bits.
/// Where sums stay apart, the values between operations are those that a prepared graph has under the same names.
/// Throws Error for a prepared graph, one without weights, and a module whose kind has no row.
enum class Sums : std::uint8_t { InProducts, Apart };
runtime::Model lower(const nn::Graph& graph, const Kinds& kinds = standard_kinds(), Sums sums = Sums::InProducts);

}  // namespace detent::quant
