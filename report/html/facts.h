#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "detent/report/html/read.h"

namespace detent::report::html {

/// May the int8 model ship?
enum class Verdict : std::uint8_t {
  Safe,       ///< what was checked holds
  NotSafe,    ///< a check failed, or codes differ
  Unchecked,  ///< the recipe sets no threshold
  Float,      ///< nothing was quantized
};

/// What a page says first of a run: taken from its metrics.json, and empty where that does not have it.
struct Facts {
  Verdict verdict = Verdict::Float;
  std::vector<std::string> checked = {}, failures = {}, warnings = {};
  double checks = 0.0;  ///< how many thresholds were set
  std::string recipe = {}, dataset = {};
  std::string shipped = {};  ///< what the run calls the model that ships: "int8", "dynamic", "weight-only"

  bool is_r2 = false;     ///< what is called accuracy below is R2 of real numbers, not a share of examples
  bool has_float = true;  ///< whether the float model was trained, so that one may compare with it
  std::optional<double> accuracy_float, accuracy_int8;      ///< shares of the test examples
  std::optional<std::pair<double, double>> interval;        ///< of their difference, in points
  std::optional<double> bytes_float, bytes_int8;            ///< of the files
  std::optional<double> latency_float, latency_int8;        ///< of one example, the median, in milliseconds
  std::optional<double> error_float, error_int8;            ///< means, of real numbers and flags
  std::optional<std::pair<double, double>> error_interval;  ///< of their difference
  std::optional<double> flips, lost, won;                   ///< predictions that differ; of them right before, after
  std::optional<double> examples, codes, codes_different;   ///< of the verification
  const Json* pair = nullptr;                               ///< evidence.pairs: float against int8

  /// int8 accuracy minus float accuracy
  std::optional<double> difference() const {
    return has_float && accuracy_float && accuracy_int8 ? std::optional(*accuracy_int8 - *accuracy_float)
                                                        : std::nullopt;
  }
  std::string measure() const { return is_r2 ? "R\u00b2" : "accuracy"; }
  std::string score_text(double accuracy) const;         ///< "99.23 %", "0.9876"
  std::string difference_text(double difference) const;  ///< in points, "-0.12", or of R2, "-0.0012"
  std::optional<double> smaller() const { return ratio(bytes_float, bytes_int8); }
  std::optional<double> faster() const { return ratio(latency_float, latency_int8); }

 private:
  static std::optional<double> ratio(const std::optional<double>& before, const std::optional<double>& after) {
    return before && after && *before > 0.0 && *after > 0.0 ? std::optional(*before / *after) : std::nullopt;
  }
};

/// `metrics` must outlive the result.
Facts facts_of(const Json& metrics);

/// Of a model of evidence.models: "float", "fake-quantized", "int8" for the names that a run gives its files; other
/// names as they are.
std::string model_name(const std::string& name);

/// "Safe to ship", ...
std::string headline(Verdict verdict);

}  // namespace detent::report::html
