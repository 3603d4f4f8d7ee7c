#pragma once

#include <cstdint>

namespace detent {

/// The least whole number that is not below a / b. REQUIRES: a >= 0, b > 0.
constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
/// The least multiple of `unit` that is not below `count`.
constexpr std::int64_t round_up(std::int64_t count, std::int64_t unit) { return divide_up(count, unit) * unit; }

}  // namespace detent
