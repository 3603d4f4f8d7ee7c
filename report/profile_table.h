#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "detent/core/profiler.h"

namespace detent::report {

/// What `profiler` measured in `steps` steps as a table for people: a row a module with microseconds a step in each
/// phase, its share of all time, and the bytes it saves; then the totals.
std::string profile_table(const Profiler& profiler, std::int64_t steps);

/// The same for programs: [{module, data_ms, forward_ms, backward_ms, optimizer_ms, share, saved_bytes}], times a step.
nlohmann::json profile_json(const Profiler& profiler, std::int64_t steps);

}  // namespace detent::report
