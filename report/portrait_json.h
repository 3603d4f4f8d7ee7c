#pragma once

#include <nlohmann/json_fwd.hpp>

#include "detent/evaluation/portrait/portrait.h"

namespace detent::report {

/// The member `layers` of metrics.json, of the test examples that were run:
///   examples, against ("float", or "int8": itself, where no float model was trained), rows [{name, kind, type, snr_db,
///   mean_difference, largest_difference, cosine, saturated,
///     range_float [lo, hi], range_int8 [lo, hi],
///     values {lower, width, counts, total, zeros},
///     grid {scale, zero_point, qmin, qmax} or null,
///     weights {qmin, qmax, codes_a_bar, counts, granularity, scale [smallest, largest]} or null}]
/// snr_db is null where nothing differs, and -100 where a layer that is 0 in float is not in int8.
nlohmann::json layers_json(const evaluation::Portrait& portrait);

/// The member `model`: nodes [{name, kind, shape, type, codes, inputs [numbers of nodes before], parameters,
/// multiply_adds, weight_bits, note}], the inputs first.
nlohmann::json model_json(const evaluation::Portrait& portrait);

}  // namespace detent::report
