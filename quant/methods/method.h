#pragma once

#include <cstdint>
#include <string_view>

#include "detent/core/names.h"

namespace detent::quant {

/// How an int8 model is made of a float one: by training on codes, from observed ranges alone, or not at all.
enum class Method : std::uint8_t { Qat, Static, None };
const Names<Method>& method_names();  ///< "qat", "static", "none"
std::string_view name_of(Method method);

}  // namespace detent::quant
