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

/// Throws Error, before any training, for what is said for targets of another kind: losses and weights (losses/loss.h),
/// numbers of [check], distillation; and for keep "best" or patience where no part is held out.
void check_targets(const Settings& settings, const data::Dataset& train, const evaluation::CheckSettings& checks,
                   bool has_validation);

/// Throws Error for keep "best" or patience without a validation part.
void check_validation(const TrainSettings& train, bool has_validation);

}  // namespace detent::train
