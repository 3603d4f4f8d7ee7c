#pragma once

#include <cstdint>
#include <string>

#include "detent/interchange/c/program.h"
#include "detent/interchange/c/text.h"

namespace detent::interchange::c {

/// The constants of a product of codes in C.
struct ProductConstants {
  std::string definitions = {};  ///< its arrays, and its `product` of the given name
  std::int64_t bytes = 0;
  int weight_bits = 8;  ///< that a weight takes: 8, 4, 2 or 1
};

/// `input`: the map of its codes. Rows of weights of fewer than 8 bits share bytes and begin with a whole one; so do
/// the blocks of channels that have a scale of their own.
ProductConstants product_constants(const runtime::Product& product, ScaleZero input, const runtime::ValueType& output,
                                   const std::string& name, Identifiers& names, Requantize requantize);

/// What the type `product` has beside its geometry and weights: the fields of the rounding, and of scales a group.
std::string product_fields(Requantize requantize, bool has_groups);

}  // namespace detent::interchange::c
