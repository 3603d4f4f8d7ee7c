#pragma once

#include <cstdint>
#include <string>

#include "detent/evaluation/metrics.h"

namespace detent::report {

/// The final table: a row a model with accuracy, drop, size and time; then codes compared and differing; then the
/// warnings and the checks.
std::string to_text(const evaluation::Metrics& metrics);

/// 1234567 -> "1,234,567".
std::string with_separators(std::int64_t number);

}  // namespace detent::report
