#pragma once

#include <cstdint>
#include <string>

#include "detent/interchange/c/program.h"
#include "detent/interchange/c/text.h"

namespace detent::interchange::c {

/// The constants of a product in C.
struct ProductConstants {
  std::string definitions = {};  ///< its arrays, and its `product` of the given name
  std::int64_t bytes = 0;
  int weight_bits = 8;  ///< that a weight takes: 8, 4, 2 or 1; of numbers 32, or 16: bf16
};

/// From codes to codes. `input`: the map of its codes.
ProductConstants product_constants(const runtime::Product& product, ScaleZero input, const runtime::ValueType& output,
                                   const std::string& name, Identifiers& names, Requantize requantize);
/// From numbers to numbers, with weights that are codes, or numbers.
ProductConstants product_constants(const runtime::HybridProduct& product, const std::string& name, Identifiers& names);
ProductConstants product_constants(const runtime::Product& product, const std::string& name, Identifiers& names);

/// What the type `product` has beside its geometry and weights: the fields of the rounding, of scales a group, and of
/// products of numbers.
std::string product_fields(Requantize requantize, bool has_blocks, bool has_numbers);

}  // namespace detent::interchange::c
