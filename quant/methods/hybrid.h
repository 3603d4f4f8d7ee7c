#pragma once

#include "detent/quant/methods/method.h"
#include "detent/quant/passes/convert.h"

namespace detent::quant {

/// Quantizes a float graph without any examples: its convolutions and linear layers become runtime::HybridProducts,
/// whose weights are codes, or products of bf16, and all values between layers stay in f32. Batch norms and ReLUs are
/// folded into the products as `lower` does; the weights then get the quantizer that `mapping` gives the layer, as in
/// static quantization, but that no scale is raised for a bias, which stays in f32.
///
///   Method::Dynamic     the input of each product becomes codes as the model runs, u8 of the bits of the layer's
///                       `activation`, on a map of the example's own extremes (kernels/codes/dynamic_codes.h)
///   Method::WeightOnly  products are of f32, or of what is rounded to bf16 (QConfig::numbers), and of the numbers that
///                       weight codes stand for; convolutions of fewer than 16 outputs a group keep f32
///   Method::Bf16        weights, and the inputs of products, are rounded to bf16; there are no codes, and of `mapping`
///                       counts only which layers it quantizes
///
/// Throws Error as lower and QConfig::validate; for a rule that names no module; for a dynamic product whose sums might
/// not fit; and where `activation` asks for another range than an example's own. REQUIRES: is_hybrid(method).
Converted quantize_hybrid(const nn::Graph& graph, const QConfigMapping& mapping, Method method,
                          const Kinds& kinds = standard_kinds());

}  // namespace detent::quant
