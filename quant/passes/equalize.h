#pragma once

#include "detent/quant/kinds/kind.h"

namespace detent::quant {

/// The float graph that computes the same, up to one rounding of each weight and bias, with weights whose channels have
/// equal ranges in consecutive conv2d and linear layers, so that a scale for all of them suits each (Nagel et al. 2019,
/// "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1). Of layers 1 and 2, with
/// r1[c] the largest |weight| of output c of layer 1, and r2[c] that of input c of layer 2:
///
///   s[c] = sqrt(r1[c] / r2[c]),   weight1[c, ...] /= s[c],   bias1[c] /= s[c],   weight2[..., c] *= s[c]
///
/// which makes both sqrt(r1[c] r2[c]); again over all pairs until scales change little, as layers between others belong
/// to two pairs. A channel whose r1 or r2 is 0 keeps s = 1.
///
/// Two layers are a pair if the values of the first are read by a chain of ReLU, leaky ReLU, pools, dropout and flatten
/// alone, which ends in the second: those commute with positive factors of channels. Sums, other activations (ReLU6,
/// whose bound would move), batch norms (see fold_batch_norms), the graph's output, and a layer that stands at several
/// nodes end a chain. The graph is not changed. Throws Error, naming the layer, for one without weights.
nn::Graph equalize(const nn::Graph& graph, const Kinds& kinds = standard_kinds());

}  // namespace detent::quant
