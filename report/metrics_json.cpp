#include "detent/report/metrics_json.h"

#include <nlohmann/json.hpp>

#include "detent/report/drift/drift_json.h"
#include "detent/report/evidence/evidence_json.h"
#include "detent/report/evidence/flips.h"
#include "detent/report/portrait_json.h"
#include "detent/report/record_json.h"

namespace detent::report {

nlohmann::json to_json(const quant::ChannelReport& channels) {
  return {{"count", channels.count},
          {"largest", channels.largest},
          {"median", channels.median},
          {"outliers", channels.outliers},
          {"dead", channels.dead}};
}

namespace {

nlohmann::json to_json(const evaluation::Reestimation& reestimation) {
  return {{"batches", reestimation.batches},
          {"accuracy_before", reestimation.accuracy_before},
          {"accuracy_after", reestimation.accuracy_after}};
}

nlohmann::json errors_json(const evaluation::ValueErrors& errors) {
  return {{"r2", errors.r2},
          {"mean_absolute_error", errors.mean_absolute_error},
          {"root_mean_squared_error", errors.root_mean_squared_error}};
}

nlohmann::json to_json(const evaluation::TargetScore& score, const std::vector<std::string>& names) {
  if (score.targets == data::TargetKind::kClasses) {
    return nullptr;
  }
  if (score.targets == data::TargetKind::kFlags) {
    return {{"exact_match", score.value()}, {"mean_accuracy", score.mean_accuracy()}};
  }
  nlohmann::json json = errors_json(score.errors());
  json["columns"] = nlohmann::json::array();
  for (std::size_t column = 0; column < score.columns.size(); ++column) {
    nlohmann::json row = errors_json(score.errors(column));
    row["name"] = column < names.size() ? names[column] : std::to_string(column);
    json["columns"].push_back(std::move(row));
  }
  return json;
}

nlohmann::json or_null(const std::optional<double>& number) {
  return number ? nlohmann::json(*number) : nlohmann::json(nullptr);
}

nlohmann::json to_json(const std::vector<evaluation::EpochResult>& epochs) {
  nlohmann::json rows = nlohmann::json::array();
  for (const evaluation::EpochResult& epoch : epochs) {
    rows.push_back({{"phase", epoch.phase},
                    {"epoch", epoch.epoch},
                    {"loss", epoch.loss},
                    {"accuracy", epoch.accuracy},
                    {"validation_loss", or_null(epoch.validation_loss)},
                    {"validation_accuracy", or_null(epoch.validation_accuracy)},
                    {"learning_rate", epoch.learning_rate},
                    {"seconds", epoch.seconds}});
  }
  return rows;
}

nlohmann::json to_json(const evaluation::TrainedResult& result, const std::vector<std::string>& names) {
  return {{"test_accuracy", result.test_accuracy},
          {"trained", result.train_seconds > 0.0 || result.was_trained_before},
          {"scores", to_json(result.score, names)},
          {"train_seconds", result.train_seconds},
          {"model_bytes", result.model_bytes},
          {"precision", std::string(precision_name(result.precision))},
          {"loss_scale", result.scaler ? nlohmann::json(result.scaler->scale) : nlohmann::json(nullptr)},
          {"skipped_steps", result.scaler ? result.scaler->skipped_steps : 0},
          {"reestimation", result.reestimation ? to_json(*result.reestimation) : nlohmann::json(nullptr)}};
}

nlohmann::json to_json(const evaluation::Calibration& calibration) {
  nlohmann::json growths = nlohmann::json::array();
  for (const evaluation::Calibration::Growth& growth : calibration.growths) {
    growths.push_back({{"name", growth.name}, {"growth", growth.share()}});
  }
  return {{"examples", calibration.examples}, {"last", calibration.last}, {"growths", std::move(growths)}};
}

nlohmann::json to_json(const std::vector<quant::RangeReport>& ranges) {
  nlohmann::json rows = nlohmann::json::array();
  for (const quant::RangeReport& range : ranges) {
    const quant::Measured& measured = range.measured;
    rows.push_back({{"name", range.name},
                    {"range", {range.range.min, range.range.max}},
                    {"seen", {measured.seen.min, measured.seen.max}},
                    {"clipped_share", measured.clipped_share()},
                    {"channels", report::to_json(range.channels)},
                    {"weights", range.is_product ? report::to_json(range.weights) : nlohmann::json(nullptr)}});
  }
  return rows;
}

nlohmann::json to_json(const evaluation::Int8Result& result, double fp32_accuracy,
                       const std::vector<std::string>& names) {
  nlohmann::json improve = nlohmann::json::array();
  for (const quant::Improvement improvement : result.improve) {
    improve.push_back(std::string(name_in(quant::improvement_names(), improvement)));
  }
  return {{"name", result.name},
          {"method", std::string(name_of(result.method))},
          {"weights", result.weights},
          {"improve", std::move(improve)},
          {"test_accuracy", result.test_accuracy},
          {"scores", to_json(result.score, names)},
          {"drop", fp32_accuracy - result.test_accuracy},
          {"quantize_seconds", result.seconds},
          {"model_bytes", result.model_bytes},
          {"calibration", result.calibration ? to_json(*result.calibration) : nlohmann::json(nullptr)},
          {"ranges", to_json(result.ranges)}};
}

}  // namespace

nlohmann::json to_json(const evaluation::VerifyReport& report) {
  nlohmann::json layers = nlohmann::json::array();
  for (const evaluation::LayerComparison& layer : report.layers) {
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
                    {"sum_bound", row.sum_bound},
                    {"sum_bits", row.sum_bits}});
  }
  return rows;
}

nlohmann::json to_json(const evaluation::Metrics& metrics) {
  const double fp32_accuracy = metrics.fp32.test_accuracy;
  nlohmann::json json{
      {"recipe", metrics.recipe},
      {"dataset", metrics.dataset},
      {"dataset_description", metrics.dataset_description},
      {"seed", metrics.seed},
      {"threads", metrics.threads},
      {"total_seconds", metrics.total_seconds},
      {"targets", std::string(data::name_of(metrics.targets))},
      {"measure", evaluation::measure_of(metrics.targets)},
      {"fp32", to_json(metrics.fp32, metrics.target_names)},
      {"qat", nullptr},
      {"int8", nullptr},
      {"verify", nullptr},
      {"not_improved", nullptr},
      {"variants", nlohmann::json::array()},
      {"epochs", to_json(metrics.epochs)},
      {"ledger", to_json(metrics.ledger)},
      {"warnings", metrics.warnings},
      {"evidence", nullptr},
      {"record", to_json(metrics.record)},
      {"check", {{"passed", metrics.failures.empty()}, {"failures", metrics.failures}, {"checked", metrics.checked}}}};
  if (metrics.qat) {
    json["qat"] = to_json(*metrics.qat, metrics.target_names);
  }
  if (metrics.int8) {
    json["int8"] = to_json(*metrics.int8, fp32_accuracy, metrics.target_names);
    json["verify"] = to_json(metrics.int8->verify);
  }
  const auto with_verify = [&](const evaluation::Int8Result& model) {
    nlohmann::json row = to_json(model, fp32_accuracy, metrics.target_names);
    row["verify"] = to_json(model.verify);
    return row;
  };
  if (metrics.not_improved) {
    json["not_improved"] = with_verify(*metrics.not_improved);
  }
  if (metrics.evidence) {
    json["evidence"] = report::to_json(*metrics.evidence, kMostFlipsTold);
  }
  for (const evaluation::Int8Result& variant : metrics.variants) {
    json["variants"].push_back(with_verify(variant));
  }
  if (metrics.portrait) {
    json["layers"] = layers_json(*metrics.portrait);
    json["model"] = model_json(*metrics.portrait);
  }
  if (metrics.drift) {
    json["drift"] = to_json(*metrics.drift);
  }
  return json;
}

}  // namespace detent::report
