#pragma once

#include "detent/quant/kinds/kind.h"

/// Batch norms as parts of the products before them (Krishnamoorthi 2018, section 3.2.2).
namespace detent::quant {

/// With factor[o] = gamma[o] / sqrt(running_variance[o] + epsilon) of the batch norm at `batch_norm`:
///   weight[o, ...] *= factor[o],   bias[o] = beta[o] + (bias[o] - running_mean[o]) * factor[o]
/// `weight` f32 [O, ...]; `bias` f32 [O], or undefined, which counts as zeros.
void fold(const nn::Graph::Node& batch_norm, const Kinds& kinds, Tensor& weight, Tensor& bias);

/// The float graph that computes the same, up to rounding, without the batch norms that prepare would fold: those that
/// alone read a conv2d or linear layer, where `mapping` quantizes both. All conv2d and linear layers that it quantizes
/// have a bias in the result, zeros where they had none. Other modules are copied; the graph is not changed. Throws
/// Error, naming the layer, for one without weights.
nn::Graph fold_batch_norms(const nn::Graph& graph, const QConfigMapping& mapping,
                           const Kinds& kinds = standard_kinds());

}  // namespace detent::quant
