#include "detent/report/drift/drift_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "detent/report/evidence/evidence_table.h"
#include "detent/report/metrics_table.h"

namespace detent::report {
namespace {

using evaluation::DriftState;
using evaluation::ValueDrift;

std::string label_of(const ValueDrift& value) {
  return value.feature.empty() ? value.name : value.name + " '" + value.feature + "'";
}

std::string percent(double share) { return fmt::format("{:.2f} %", 100.0 * share); }

std::string row_of(const ValueDrift& value, std::size_t width) {
  return fmt::format(
      "  {:<{}}{:>9.4f}{:>9.4f}{:>+11.3f}{:>10}{:>11}{:>10}  {}\n", label_of(value), width, value.psi, value.ks,
      value.mean_shift, percent(value.unseen), value.are_codes ? percent(value.saturated_before) : "",
      value.are_codes ? percent(value.saturated) : "", value.state == DriftState::Stable ? "" : name_of(value.state));
}

std::string summary_of(const evaluation::Drift& drift) {
  if (const ValueDrift* const left = drift.first(DriftState::Left)) {
    return fmt::format("  {} of {} values left their range; the first, as the model runs: {}\n",
                       drift.verdict.failures.size(), drift.values.size(), label_of(*left));
  }
  const auto moved = std::ranges::count(drift.values, DriftState::Moved, &ValueDrift::state);
  return moved > 0 ? fmt::format("  {} of {} values moved, within their bounds; the first: {}\n", moved,
                                 drift.values.size(), label_of(*drift.first(DriftState::Moved)))
                   : fmt::format("  all {} values are spread as on the training data\n", drift.values.size());
}

/// A line where bounds may have been widened.
std::string chance_of(const evaluation::Drift& drift) {
  constexpr double kShown = 0.1;
  evaluation::Chance most;
  for (const ValueDrift& value : drift.values) {
    most.stability_index = std::max(most.stability_index, value.chance.stability_index);
    most.kolmogorov_smirnov = std::max(most.kolmogorov_smirnov, value.chance.kolmogorov_smirnov);
  }
  return most.stability_index < kShown
             ? std::string()
             : fmt::format(
                   "  few examples: chance alone gives up to PSI {:.2f} and K-S {:.2f}, and no bound is smaller\n",
                   most.stability_index, most.kolmogorov_smirnov);
}

}  // namespace

std::string to_text(const evaluation::Drift& drift) {
  std::size_t width = 18;
  for (const ValueDrift& value : drift.values) {
    width = std::max(width, label_of(value).size() + 2);
  }
  std::string text =
      fmt::format("  {} examples against {} of the training data\n\n  {:<{}}{:>9}{:>9}{:>11}{:>10}{:>11}{:>10}\n",
                  with_separators(drift.examples), with_separators(drift.reference_examples), "value", width, "PSI",
                  "K-S", "mean shift", "unseen", "saturated", "now");
  for (const ValueDrift& value : drift.values) {
    text += row_of(value, width);
  }
  return text + "\n" + summary_of(drift) + chance_of(drift) + "  " + to_text(drift.verdict);
}

}  // namespace detent::report
