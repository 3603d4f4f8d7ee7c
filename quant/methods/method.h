#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "detent/core/names.h"

namespace detent::quant {

/// How an int8 model is made of a float one: by training on codes, from observed ranges alone, or not at all.
enum class Method : std::uint8_t { Qat, Static, None };
const Names<Method>& method_names();  ///< "qat", "static", "none"
std::string_view name_of(Method method);

/// What makes static quantization lose less: passes/equalize.h, methods/adaround.h, methods/bias_correction.h.
enum class Improvement : std::uint8_t { Equalize, AdaRound, BiasCorrection };
const Names<Improvement>& improvement_names();  ///< "equalize", "adaround", "bias-correction"
/// "equalize, bias-correction"
std::string to_text(const std::vector<Improvement>& improvements);

}  // namespace detent::quant
