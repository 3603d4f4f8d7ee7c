#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "detent/core/shape.h"

/// The table that people see of a graph or of a model.
namespace detent {

/// Layer, kind, output shape, parameters, multiply-adds.
using LayerRow = std::array<std::string, 5>;

/// 1234567 -> "1,234,567"
std::string grouped_digits(std::int64_t number);
/// 26 x 26 x 32
std::string with_crosses(const Shape& shape);
/// The rows below a heading; the last one, the totals, below a rule.
std::string layer_table(std::vector<LayerRow> rows);

}  // namespace detent
