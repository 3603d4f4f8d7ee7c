#pragma once

#include <string>
#include <vector>

#include "detent/data/dataset.h"
#include "detent/evaluation/checks.h"
#include "detent/evaluation/metrics.h"

/// What a run tells of itself unasked: one line for each thing that is likely to be wrong. docs/recipes.md lists the
/// limits.
namespace detent::evaluation {

/// The accuracy of who always says the same: the share of the most frequent class, of flags that of the most frequent
/// combination; of values 0, the R2 of their mean.
double chance_of(const data::Dataset& test);

struct Finding {
  std::string text = {};
  bool is_gross = false;  ///< fails the run
};
/// What a finished run shows: training that has learned nothing, an absurd loss, int8 models far below the float one
/// (gross unless `check` has a max_drop of its own) or QAT far below static ones, quantizers that clip much or give one
/// code alone, ranges that still grew as calibration ended, channels that reach far beyond the others or are always 0.
std::vector<Finding> findings_of(const CheckSettings& check, const Metrics& metrics);
/// Adds their texts to the warnings.
void add_findings(const CheckSettings& check, Metrics& metrics);

}  // namespace detent::evaluation
