#pragma once

#include "detent/nn/graph.h"

/// What the passes over graphs share.
namespace detent::quant {

/// The note of a float module that no rule of the mapping keeps in float.
inline constexpr std::string_view kNoInt8Form = "has no int8 form";

using nn::exactly;
using nn::type_of;

/// Whether prepare has a form on codes for a float module.
bool has_int8_form(const nn::Module& module);
/// Whether `kind` is one of the prepared or converted graphs' own: "qat_conv2d", "quantize".
bool is_quantized_kind(std::string_view kind);

/// A module of its own with the same options and copies of the same tensors, made by its row of `kinds`. Throws Error,
/// naming the node, where there is no row, or one of another class.
std::shared_ptr<nn::Module> clone_module(const nn::Graph::Node& node, const nn::ModuleKinds& kinds);
/// Copies the tensors of `from` into the slots of `to`, which has the same slots.
void copy_slots(nn::Module& from, nn::Module& to);

}  // namespace detent::quant
