#pragma once

#include "detent/quant/methods/bias_correction.h"

namespace detent::quant {

/// Takes the running statistics of all batch norms of `prepared`, a graph that quant::prepare_qat made, anew, frozen or
/// not, folded or in float, but of those whose momentum is 0: `run` runs the graph on batches, each of which every
/// batch norm normalizes with the batch's own statistics; then the running ones become the mean of the batches' means
/// and their pooled variance (nn::BatchStatistics). With batches of one size that is momentum 1 and an average over the
/// batches. Statistics are in double, and in the order of the batches; weights are quantized with the former statistics
/// meanwhile.
///
/// Ranges that were frozen stay; measure them afterwards. Throws Error if `run` shows some batch norm nothing.
void reestimate_batch_norms(nn::Graph& prepared, const RunExamples& run);

}  // namespace detent::quant
