#pragma once

#include <filesystem>

#include "detent/data/dataset.h"
#include "detent/evaluation/metrics.h"

namespace detent::train {

/// Writes what a run found out to its folder: flips.csv, of classes where there are two models or more; report.html;
/// and last metrics.json. `test` are the examples that the page shows some of.
void write_results(const std::filesystem::path& folder, const evaluation::Metrics& metrics, const data::Dataset& test);

}  // namespace detent::train
