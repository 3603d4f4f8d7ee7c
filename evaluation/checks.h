#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace detent::evaluation {

struct Metrics;

/// What the run must reach. A number that is left out is not checked. [check.<data set>] overrides numbers for runs on
/// that data set ("digits" is the built-in one).
struct CheckSettings {
  std::optional<double> fp32_accuracy = {};           ///< at least
  std::optional<double> int8_accuracy = {};           ///< at least
  std::optional<double> min_r2 = {};                  ///< of values: of float and int8, at least
  std::optional<double> max_drop = {};                ///< fp32 accuracy (of values R2) - int8 accuracy, at most
  std::optional<double> static_max_drop = {};         ///< the same, for each of compare_static
  std::optional<std::int64_t> codes_mismatched = {};  ///< at most
  /// evidence/evidence.h, verdict_of
  std::optional<double> max_slice_drop = {};         ///< at most
  std::optional<double> min_slice_accuracy = {};     ///< at least
  std::optional<double> max_flips = {};              ///< at most
  std::optional<double> max_calibration_error = {};  ///< at most
};

/// One line for each number of `check` that `metrics` does not reach:
///   "int8_accuracy: expected >= 0.99, got 0.9871"
/// Any differing code or prediction is a failure, unless codes_mismatched allows it; so is what is grossly wrong
/// (findings.h), whatever `check` says. Those of the evidence's verdict, if there is one, are among them.
std::vector<std::string> failures_of(const CheckSettings& check, const Metrics& metrics);

/// Metrics::checked: the numbers of `check` that there is something to compare with, those of the evidence's verdict
/// among them.
std::vector<std::string> checked_of(const CheckSettings& check, const Metrics& metrics);

}  // namespace detent::evaluation
