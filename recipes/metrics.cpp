#include "recipes/metrics.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "recipes/warnings.h"

namespace detent::recipes {
namespace {

// Accuracies are counts over counts: this is far below one image, and above the rounding of their difference.
constexpr double kTolerance = 1e-9;

nlohmann::json to_json(const TrainedResult& result) {
  return {{"test_accuracy", result.test_accuracy},
          {"train_seconds", result.train_seconds},
          {"model_bytes", result.model_bytes},
          {"precision", std::string(precision_name(result.precision))},
          {"loss_scale", result.scaler ? nlohmann::json(result.scaler->scale) : nlohmann::json(nullptr)},
          {"skipped_steps", result.scaler ? result.scaler->skipped_steps : 0}};
}

nlohmann::json to_json(const std::vector<quant::RangeReport>& ranges) {
  nlohmann::json rows = nlohmann::json::array();
  for (const quant::RangeReport& report : ranges) {
    const quant::Measured& measured = report.measured;
    rows.push_back({{"name", report.name},
                    {"range", {report.range.min, report.range.max}},
                    {"seen", {measured.seen.min, measured.seen.max}},
                    {"clipped_share", measured.clipped_share()}});
  }
  return rows;
}

nlohmann::json to_json(const Int8Result& result, double fp32_accuracy) {
  return {{"name", result.name},
          {"method", std::string(name_of(result.method))},
          {"weights", result.weights},
          {"test_accuracy", result.test_accuracy},
          {"drop", fp32_accuracy - result.test_accuracy},
          {"quantize_seconds", result.seconds},
          {"model_bytes", result.model_bytes},
          {"ranges", to_json(result.ranges)}};
}

void check_at_least(std::vector<std::string>& failures, const std::string& what, std::optional<double> minimum,
                    double value) {
  if (minimum && value < *minimum - kTolerance) {
    failures.push_back(fmt::format("{}: expected >= {:g}, got {:g}", what, *minimum, value));
  }
}

void check_model(std::vector<std::string>& failures, const std::string& prefix, const Int8Result& model,
                 double fp32_accuracy, std::optional<double> max_drop, std::int64_t max_mismatched) {
  const double drop = fp32_accuracy - model.test_accuracy;
  if (max_drop && drop > *max_drop + kTolerance) {
    failures.push_back(fmt::format("{}max_drop: expected <= {:g}, got {:.6g} (float {:g}, int8 {:g})", prefix,
                                   *max_drop, drop, fp32_accuracy, model.test_accuracy));
  }
  const quant::VerifyReport& report = model.verify;
  if (report.codes_mismatched > max_mismatched || (max_mismatched == 0 && !report.passed())) {
    failures.push_back(fmt::format("{}codes_mismatched: expected <= {}, got {} of {}; predictions changed: {}; {}",
                                   prefix, max_mismatched, report.codes_mismatched, report.codes_compared,
                                   report.predictions_changed, quant::to_text(report)));
  }
}

}  // namespace

std::vector<std::string> failures_of(const CheckSection& check, const Metrics& metrics) {
  std::vector<std::string> failures;
  check_at_least(failures, "fp32_accuracy", check.fp32_accuracy, metrics.fp32.test_accuracy);
  if (metrics.int8) {
    const std::int64_t mismatched = check.codes_mismatched.value_or(0);
    check_at_least(failures, "int8_accuracy", check.int8_accuracy, metrics.int8->test_accuracy);
    check_model(failures, "", *metrics.int8, metrics.fp32.test_accuracy, check.max_drop, mismatched);
    for (const Int8Result& variant : metrics.variants) {
      check_model(failures, variant.name + ": static_", variant, metrics.fp32.test_accuracy, check.static_max_drop,
                  mismatched);
    }
  }
  for (const Finding& finding : findings_of(check, metrics)) {
    if (finding.is_gross) {
      failures.push_back(finding.text);
    }
  }
  return failures;
}

std::vector<std::string> checked_of(const CheckSection& check, const Metrics& metrics) {
  std::vector<std::string> checked;
  const auto add = [&](const char* what, const char* relation, std::optional<double> bound) {
    if (bound) {
      checked.push_back(fmt::format("{} {} {:g}", what, relation, *bound));
    }
  };
  add("fp32_accuracy", ">=", check.fp32_accuracy);
  if (metrics.int8) {
    add("int8_accuracy", ">=", check.int8_accuracy);
    add("max_drop", "<=", check.max_drop);
    if (!metrics.variants.empty()) {
      add("static_max_drop", "<=", check.static_max_drop);
    }
    add("codes_mismatched", "<=", check.codes_mismatched);
  }
  return checked;
}

nlohmann::json to_json(const quant::VerifyReport& report) {
  nlohmann::json layers = nlohmann::json::array();
  for (const quant::LayerComparison& layer : report.layers) {
    layers.push_back(
        {{"name", layer.name}, {"codes_compared", layer.codes_compared}, {"codes_mismatched", layer.codes_mismatched}});
  }
  return {{"codes_compared", report.codes_compared},
          {"codes_mismatched", report.codes_mismatched},
          {"codes_sha256", report.codes_sha256},
          {"predictions_changed", report.predictions_changed},
          {"images", report.images},
          {"passed", report.passed()},
          {"layers", layers}};
}

nlohmann::json to_json(const std::vector<quant::LedgerRow>& ledger) {
  nlohmann::json rows = nlohmann::json::array();
  for (const quant::LedgerRow& row : ledger) {
    rows.push_back({{"name", row.name},
                    {"kind", row.kind},
                    {"precision", row.precision},
                    {"reason", row.reason},
                    {"sum_bound", row.sum_bound}});
  }
  return rows;
}

nlohmann::json to_json(const Metrics& metrics) {
  const double fp32_accuracy = metrics.fp32.test_accuracy;
  nlohmann::json json{
      {"recipe", metrics.recipe},
      {"dataset", metrics.dataset},
      {"dataset_description", metrics.dataset_description},
      {"seed", metrics.seed},
      {"threads", metrics.threads},
      {"total_seconds", metrics.total_seconds},
      {"fp32", to_json(metrics.fp32)},
      {"qat", nullptr},
      {"int8", nullptr},
      {"verify", nullptr},
      {"variants", nlohmann::json::array()},
      {"ledger", to_json(metrics.ledger)},
      {"warnings", metrics.warnings},
      {"check", {{"passed", metrics.failures.empty()}, {"failures", metrics.failures}, {"checked", metrics.checked}}}};
  if (metrics.qat) {
    json["qat"] = to_json(*metrics.qat);
  }
  if (metrics.int8) {
    json["int8"] = to_json(*metrics.int8, fp32_accuracy);
    json["verify"] = to_json(metrics.int8->verify);
  }
  for (const Int8Result& variant : metrics.variants) {
    json["variants"].push_back(to_json(variant, fp32_accuracy));
    json["variants"].back()["verify"] = to_json(variant.verify);
  }
  return json;
}

}  // namespace detent::recipes
