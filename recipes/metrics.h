#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "optim/grad_scaler.h"
#include "quant/convert.h"
#include "quant/measure.h"
#include "quant/verify.h"
#include "recipes/recipe.h"

namespace detent::recipes {

/// The float model, or the one in quantization-aware training.
struct TrainedResult {
  double test_accuracy = 0.0;
  double train_seconds = 0.0;
  std::int64_t model_bytes = 0;
  DType precision = DType::F32;                         ///< of the float products in training
  std::optional<optim::GradScaler::State> scaler = {};  ///< with precision "fp16"
  std::int64_t steps = 0;                               ///< of training
  double loss = 0.0;                                    ///< of the last step
};

/// An int8 model.
struct Int8Result {
  std::string name = {};  ///< "int8", or for a static one made beside it "static per-channel"
  Method method = Method::Qat;
  std::string weights = {};  ///< "int8 per-channel symmetric"
  double test_accuracy = 0.0;
  double seconds = 0.0;  ///< of quantization-aware training, or of calibration
  std::int64_t model_bytes = 0;
  quant::VerifyReport verify = {};
  std::vector<quant::RangeReport> ranges = {};  ///< what its ranges do to training examples
};

/// All that a run found out: metrics.json, and what the table and the checks are made from.
struct Metrics {
  std::string recipe = {};
  std::string dataset = {};
  std::string dataset_description = {};
  std::uint64_t seed = 0;
  int threads = 0;
  TrainedResult fp32 = {};
  std::optional<TrainedResult> qat = {};  ///< with method "qat"
  std::optional<Int8Result> int8 = {};    ///< the main int8 model
  std::vector<Int8Result> variants = {};  ///< the static ones of compare_static
  std::vector<quant::LedgerRow> ledger = {};
  double total_seconds = 0.0;
  double chance = 0.0;                     ///< share of the most frequent class of the test set
  std::vector<std::string> warnings = {};  ///< warnings.h
  /// What was compared because [check] names it: "fp32_accuracy >= 0.97". That no code differs is checked always.
  std::vector<std::string> checked = {};
  std::vector<std::string> failures = {};  ///< one line for each check that failed
};

/// One line for each number of `check` that `metrics` does not reach:
///   "int8_accuracy: expected >= 0.99, got 0.9871"
/// Any differing code or prediction is a failure, unless codes_mismatched allows it; so is what is grossly wrong
/// (warnings.h), whatever `check` says.
std::vector<std::string> failures_of(const CheckSection& check, const Metrics& metrics);

/// Metrics::checked: the numbers of `check` that there is something to compare with.
std::vector<std::string> checked_of(const CheckSection& check, const Metrics& metrics);

/// The object of metrics.json:
///   recipe, dataset, seed, threads,
///   fp32 {test_accuracy, train_seconds, model_bytes, precision, loss_scale, skipped_steps}, qat {...} or null,
///   int8 {test_accuracy, drop, model_bytes, method, weights, ranges [{name, range, seen, clipped_share}]} or null,
///   verify {codes_compared, codes_mismatched, codes_sha256, predictions_changed, images, layers} or null,
///   variants [{name, method, weights, test_accuracy, drop, model_bytes, ranges, verify}], ledger, warnings,
///   check {passed, failures, checked}
nlohmann::json to_json(const Metrics& metrics);
nlohmann::json to_json(const quant::VerifyReport& report);
nlohmann::json to_json(const std::vector<quant::LedgerRow>& ledger);

/// The final table: a row a model with accuracy, drop, size and time; then codes compared and differing; then the
/// warnings and the checks.
std::string to_text(const Metrics& metrics);

/// 1234567 -> "1,234,567".
std::string with_separators(std::int64_t number);

}  // namespace detent::recipes
