#pragma once

#include "detent/quant/kinds/kind.h"

namespace detent::quant {

/// Makes a graph for quantization-aware training from a float graph; the float graph is not changed.
///
///   conv2d (+ batch_norm) (+ relu)   -> qat_conv2d        linear (+ batch_norm) (+ relu) -> qat_linear
///   add (+ relu)                     -> qat_add           avg_pool2d, global_avg_pool2d  -> qat_avg_pool2d
///   max_pool2d, flatten, relu, dropout of codes or input  -> the same, on codes
///   anything else, or what `mapping` keeps in float       -> the same, with dequantize and quantize around it
///
/// Fused modules keep the first one's name. The input is quantized and the output dequantized. In the new graph values
/// between quantized modules are codes that know their QParams; a real value is quantized once for each configuration
/// that its readers ask for. A node that stays in float says why in its note.
///
/// A module at several nodes stays one module: one weight and one range of its outputs. What follows it is fused into
/// it where that is alike at all of its nodes; a batch norm that is not stays in float.
///
/// `kinds` says how each kind is quantized, and copies what is kept: a module of one's own needs a row there. Throws
/// Error for a rule that names no module, a graph that is prepared already, a module whose kind has no row or one of
/// another class, and one at several nodes that the mapping quantizes in two ways.
nn::Graph prepare_qat(const nn::Graph& graph, const QConfigMapping& mapping, const Kinds& kinds = standard_kinds());

/// The same for static post-training quantization: the modules compute in float and observe until
/// `freeze_observers`; batch norms are folded with their running statistics. Where the mapping says no
/// range rule, it is min-max.
nn::Graph prepare(const nn::Graph& graph, const QConfigMapping& mapping, const Kinds& kinds = standard_kinds());

/// Gives the quantizers of `prepared`, which prepare_qat made, the ranges of those of the same names in `calibrated`,
/// which `prepare` made of the same float graph with the same mapping, and which has observed. What a range rule keeps
/// besides (a histogram) goes with it where both have the same rule; a moving average goes on from the range. Throws
/// Error naming a quantizer that `calibrated` lacks or that has observed nothing.
void adopt_ranges(nn::Graph& prepared, const nn::Graph& calibrated);

/// Ends the observing of all ranges; from now on the forward pass is the integer arithmetic of the converted model.
/// Batch norms are frozen with it. Throws Error naming a module that has observed nothing.
void freeze_observers(nn::Graph& graph);
/// Ranges are observed again, from what they are; batch norms stay frozen.
void thaw_observers(nn::Graph& graph);
/// Batch norms, fused or in float, use their running statistics from now on, which stay as they are; what they learn
/// goes on learning.
void freeze_batch_norm(nn::Graph& graph);

}  // namespace detent::quant
