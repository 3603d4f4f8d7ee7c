#pragma once

#include <functional>

#include "detent/quant/kinds/kind.h"

namespace detent::quant {

/// Runs a graph on the calibration examples, in inference, with a tap on its values; each call on the same ones, in the
/// same batches.
using RunTapped = std::function<void(nn::Graph& graph, const nn::Graph::Tap& tap)>;

struct AdaRoundSettings {
  std::int64_t steps = 1000;    ///< a layer
  std::int64_t batch = 32;      ///< examples a step
  double learning_rate = 1e-2;  ///< of Adam
  double regularizer = 1e-2;    ///< lambda
  double warm_up = 0.2;         ///< share of the steps without it
  double first_power = 20.0;    ///< beta falls from here ...
  double last_power = 2.0;      ///< ... to here, linearly, over the steps behind the warm-up
};

/// `graph`, a float graph, with the weights of its conv2d and linear layers moved to points of the grids that `mapping`
/// gives them: each to the one below or above it, as is learned (Nagel et al. 2020, "Up or Down? Adaptive Rounding for
/// Post-Training Quantization"). With w = s (n + f), n = floor(w / s), a number V a weight:
///
///   h(V)   = clamp(sigmoid(V) (zeta - gamma) + gamma, 0, 1),  zeta = 1.1, gamma = -0.1;  at first h = f
///   loss   = mean over positions of sum over outputs (y' - y)^2 + lambda sum (1 - |2 h - 1|^beta)
///   weight = s (n + (h >= 1/2))
///
/// y is the layer's result in `graph`; y' that with the weights s (n + h), on inputs of the layers before it as they
/// are rounded already. Layers are learned in running order; one at several nodes once, on the inputs of all of them.
/// Weights at the ends of the grid stay there, so that quantizing gives these very codes. Nothing is random.
///
/// REQUIRES: batch norms are folded (fold_batch_norms). Throws Error, naming the layer, for weights whose ranges are
/// not their smallest and largest value, or that have a map rule: their grid would move with them.
nn::Graph adaround(const nn::Graph& graph, const QConfigMapping& mapping, const RunTapped& run,
                   const Kinds& kinds = standard_kinds(), const AdaRoundSettings& settings = {});

/// Throws Error, naming the layer, for weights whose ranges are not their smallest and largest value, or that have a
/// map rule: their grid would move with them.
void check_adaround(const nn::Graph& graph, const QConfigMapping& mapping);

}  // namespace detent::quant
