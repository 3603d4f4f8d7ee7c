#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "detent/core/error.h"
#include "detent/core/shape.h"

/// Descriptions of models in files: JSON that anybody may have written.
namespace detent {

inline constexpr std::size_t kLongestDescription = std::size_t{64} << 20;  ///< bytes

/// Throws Error, beginning with `what`, for what is no JSON, is nested deeper than 100 brackets or longer than
/// kLongestDescription.
nlohmann::json parse_description(std::string_view what, std::string_view text);

}  // namespace detent
