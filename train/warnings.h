#pragma once

#include <string>
#include <vector>

#include "detent/data/dataset.h"
#include "detent/train/settings.h"

namespace detent::train {

/// What is likely to be wrong with a run, known before its training, one line each: classes without examples, a
/// calibration of too few. docs/recipes.md lists the limits. What a finished run shows: evaluation/findings.h.
std::vector<std::string> warnings_before(const Settings& settings, const data::Dataset& train,
                                         const data::Dataset& test);

}  // namespace detent::train
