#pragma once

#include <nlohmann/json_fwd.hpp>

#include "detent/evaluation/drift/monitor.h"

namespace detent::report {

/// What `detent monitor --json` prints of a model, and the member `drift` of metrics.json. docs/evidence.md says what
/// the numbers mean.
///   examples, reference_examples
///   values [{value, feature (where a column has a name), type "codes" or "reals", psi, ks, psi_by_chance,
///     ks_by_chance, mean_shift or null, unseen, saturated_before and saturated (of codes), not_finite, state,
///     bins {bounds, before, now: shares, one more than there are bounds}}]
///   first_left: the first value in running order that left its range, or null
///   verdict {passed, checked: how many, bounds [text], failures [text]}
nlohmann::json to_json(const evaluation::Drift& drift);

}  // namespace detent::report
