#pragma once

#include <functional>

#include "detent/nn/graph.h"

namespace detent::quant {

/// Runs a graph on the calibration examples, in inference; each call on the same ones.
using RunExamples = std::function<void(nn::Graph& graph)>;

/// Calibrates and freezes `prepared`, a graph that quant::prepare made, and corrects the biases of its conv2d and
/// linear layers for the errors of the codes of weights and inputs (Nagel et al. 2019, "Data-Free Quantization Through
/// Weight Equalization and Bias Correction", section 4.2 and appendix D, the empirical form). Of each output o of a
/// layer, with y its value before ReLU, means taken over all examples and positions:
///
///   bias[o] += E[y[o] of the float graph] - E[y[o] of codes]
///
/// layer after layer, in running order, so that each one's inputs have the corrections before it; that is a run on the
/// examples a layer. A layer at several nodes is corrected once, by the means over all of them. The corrected bias is
/// the one that is stored: it is quantized, trained on and converted like any other.
///
/// REQUIRES: layers have a bias, and no batch norm (see fold_batch_norms). Throws Error, naming the layer, otherwise,
/// and for a graph that is not calibrating.
void calibrate_and_correct_biases(nn::Graph& prepared, const RunExamples& run);

}  // namespace detent::quant
