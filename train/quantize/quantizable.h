#pragma once

#include <vector>

#include "detent/quant/kinds/kind.h"
#include "detent/train/settings.h"

namespace detent::train {

using Improvements = std::vector<quant::Improvement>;
bool has(const Improvements& improve, quant::Improvement wanted);

/// What the float graph is before it is prepared for static quantization with improvements.
nn::Graph improve_in_float(const nn::Graph& graph, const quant::QConfigMapping& mapping, const Improvements& improve,
                           const quant::Kinds& kinds);

/// Throws Error, before any training and not after it, for a name in keep_float that names no module, and, if
/// `is_strict`, for a module that must be int8 and cannot.
void check_quantizable(const Settings& settings, const quant::Kinds& kinds, const nn::Graph& graph, bool is_strict);

}  // namespace detent::train
