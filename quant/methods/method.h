#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "detent/core/names.h"

namespace detent::quant {

/// How a quantized model is made of a float one: by training on codes; from observed ranges alone; without any
/// examples, with codes of activations that are made as it runs, with codes of weights alone, or with numbers of bf16
/// in place of codes (methods/hybrid.h); or not at all.
enum class Method : std::uint8_t { Qat, Static, Dynamic, WeightOnly, Bf16, None };
const Names<Method>& method_names();  ///< "qat", "static", "dynamic", "weight-only", "bf16", "none"
std::string_view name_of(Method method);
/// Whether values between layers stay in f32.
constexpr bool is_hybrid(Method method) {
  return method == Method::Dynamic || method == Method::WeightOnly || method == Method::Bf16;
}

/// What makes static quantization lose less: passes/equalize.h, methods/adaround.h, methods/bias_correction.h.
enum class Improvement : std::uint8_t { Equalize, AdaRound, BiasCorrection };
const Names<Improvement>& improvement_names();  ///< "equalize", "adaround", "bias-correction"
/// "equalize, bias-correction"
std::string to_text(const std::vector<Improvement>& improvements);

}  // namespace detent::quant
