#pragma once

#include "nn/graph.h"
#include "quant/qconfig.h"

namespace detent::quant {

/// Makes a graph for quantization-aware training from a float graph; the float graph is not changed.
///
///   conv2d (+ batch_norm) (+ relu)   -> qat_conv2d        linear (+ batch_norm) (+ relu) -> qat_linear
///   add (+ relu)                     -> qat_add           avg_pool2d, global_avg_pool2d  -> qat_avg_pool2d
///   max_pool2d, flatten, relu, dropout of codes           -> the same, on codes
///   anything else, or what `mapping` keeps in float       -> the same, with dequantize and quantize around it
///
/// Fused modules keep the first one's name. The input is quantized and the output dequantized. In the new graph values
/// between quantized modules are codes that know their QParams. Throws Error for a rule that names no module.
nn::Graph prepare_qat(const nn::Graph& graph, const QConfigMapping& mapping);

/// The same for static post-training quantization: the modules compute in float and observe (MinMax) until
/// `freeze_observers`; batch norms are folded with their running statistics.
nn::Graph prepare(const nn::Graph& graph, const QConfigMapping& mapping);

/// Ends the observing of all ranges; from now on the forward pass is the integer arithmetic of the converted model.
/// Batch norms are frozen with it. Throws Error naming a module that has observed nothing.
void freeze_observers(nn::Graph& graph);
/// Batch norms use their running statistics from now on.
void freeze_batch_norm(nn::Graph& graph);

}  // namespace detent::quant
