#include "detent/evaluation/reproduction.h"

#include <fmt/format.h>

namespace detent::evaluation {

std::vector<std::string> Reproduction::failures() const {
  std::vector<std::string> failures;
  for (const ReproducedRow& row : rows) {
    for (const ReproducedRun& run : row.runs) {
      for (const std::string& failure : run.failures) {
        failures.push_back(fmt::format("{}, seed {}: {}", row.name, run.seed, failure));
      }
    }
    if (row.at_least && !row.runs.empty()) {
      constexpr double kTolerance = 1e-9;  // far below one image
      const double mean = spread_of(row.accuracies()).mean;
      if (mean < *row.at_least - kTolerance) {
        failures.push_back(fmt::format("{}: expected a mean of at least {:.2f} %, got {:.3f} %", row.name,
                                       100.0 * *row.at_least, 100.0 * mean));
      }
    }
  }
  return failures;
}

}  // namespace detent::evaluation
