#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "detent/evaluation/rounding.h"

namespace detent::report {

/// A table a target, a row a layer of codes; then the targets, a row each.
std::string to_text(std::span<const evaluation::TargetRounding> targets);
/// An array, an object a target.
nlohmann::json to_json(std::span<const evaluation::TargetRounding> targets);

}  // namespace detent::report
