#pragma once

#include <string>

#include "detent/evaluation/drift/monitor.h"

namespace detent::report {

/// A row a value, in running order, then which left their range and the verdict.
std::string to_text(const evaluation::Drift& drift);

}  // namespace detent::report
