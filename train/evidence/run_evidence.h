#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "detent/evaluation/metrics.h"
#include "detent/quant/kinds/kind.h"
#include "detent/train/run_data.h"
#include "detent/train/settings.h"

namespace detent::train {

/// What models said of the test set, by the names of their files without ".h5".
using Evaluations = std::map<std::string, evaluation::Evaluation>;

/// Adds to `metrics` the evidence of the models in `folder` that it tells of: fp32.h5 if it was trained, qat.h5 and
/// int8.h5, with speed measured for about a tenth of `run_seconds` at most, and the verdict of [check]. The models are
/// read back from their files; one that is not among `evaluations` is evaluated here. REQUIRES: called in the pool.
void add_evidence(const std::filesystem::path& folder, const Settings& settings, const RunData& data,
                  const quant::Kinds& kinds, Evaluations evaluations, double run_seconds,
                  evaluation::Reporter& reporter, evaluation::Metrics& metrics);

}  // namespace detent::train
