#pragma once

#include <limits>
#include <nlohmann/json_fwd.hpp>

#include "detent/evaluation/evidence/evidence.h"

namespace detent::report {

/// The member `evidence` of metrics.json, and what `detent eval --json` prints of it, of each pair's flips the
/// `most_flips` worst (flips.h). docs/evidence.md says what the numbers mean. Points are percentage points, of 100;
/// accuracies, margins and errors are of 1.
///   models {NAME: {kind, examples, accuracy, interval [low, high], confusion [[count]] by label and prediction,
///     calibration_error, slices [{slice, examples, accuracy, points}], latency_ms {p50, p90, p99, max, runs} or null,
///     throughput [{batch, examples_per_second, memory_bytes}], peak_memory_bytes or null, file_bytes, parameter_bytes,
///     float_modules [{module, why}]}}
///   pairs [{a, b, accuracy_a, accuracy_b, points, interval [low, high] in points, mcnemar_p, a_only, b_only,
///     predictions_changed, flips [{index, label, a, b, margin_a, margin_b}],
///     slices [{slice, examples, accuracy_a, accuracy_b, points, interval}]}]
/// Of targets that are no classes models have no accuracy, interval, confusion and calibration_error, but error, as
/// their slices have; pairs are {a, b, error_a, error_b, change, interval, slices [the same]}.
///   verdict {checked: how many, bounds ["max_flips <= 0.01"], failures [text]}
nlohmann::json to_json(const evaluation::Evidence& evidence,
                       std::size_t most_flips = std::numeric_limits<std::size_t>::max());

}  // namespace detent::report
