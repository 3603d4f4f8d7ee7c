#include "detent/evaluation/reproduction.h"

#include <fmt/format.h>

namespace detent::evaluation {

namespace {

void add_failures(const std::string& name, const ModelRun& run, std::vector<std::string>& failures) {
  for (const std::string& failure : run.failures) {
    failures.push_back(fmt::format("{}, seed {}: {}", name, run.seed, failure));
  }
}

}  // namespace

std::vector<std::string> Ladder::failures() const {
  std::vector<std::string> failures;
  for (const Rung& rung : rungs) {
    add_failures(rung.name, rung.run, failures);
  }
  return failures;
}

std::vector<std::string> Reproduction::failures() const {
  std::vector<std::string> failures;
  for (const ReproducedRow& row : rows) {
    for (const ModelRun& run : row.runs) {
      add_failures(row.name, run, failures);
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
