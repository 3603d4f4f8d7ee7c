#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "detent/evaluation/metrics.h"

namespace detent::report {

/// The object of metrics.json:
///   recipe, dataset, seed, threads, targets, measure ("accuracy", of values "R2": what accuracies and drops here are),
///   epochs [{phase, epoch, loss, accuracy, validation_loss, validation_accuracy, learning_rate, seconds}],
///   fp32 {test_accuracy, scores (below), trained, train_seconds, model_bytes, precision, loss_scale, skipped_steps,
///   reestimation {batches,
///     accuracy_before, accuracy_after} or null}, qat {...} or null,
///   int8 {test_accuracy, scores, drop, model_bytes, method, weights, improve [names], calibration {examples, last,
///   growths
///     [{name, growth}]} or null, ranges [{name, range, seen, clipped_share, channels, weights}]} or null,
///   verify {codes_compared, codes_mismatched, codes_sha256, predictions_changed, images, layers} or null,
///   not_improved {name, method, weights, improve, test_accuracy, drop, model_bytes, calibration, ranges, verify}
///     or null: the static model without the improvements, where int8 has some,
///   variants [the same], ledger, warnings, record (record_json.h),
///   check {passed, failures, checked}, evidence (evidence/evidence_json.h) or null,
///   layers and model as in portrait_json.h, drift as in drift/drift_json.h: of the model that ships on the test set
/// scores: of values {r2, mean_absolute_error, root_mean_squared_error, columns [{name, the same}]}, of flags
/// {exact_match, mean_accuracy}, of classes null.
nlohmann::json to_json(const evaluation::Metrics& metrics);
nlohmann::json to_json(const evaluation::VerifyReport& report);
nlohmann::json to_json(const std::vector<quant::LedgerRow>& ledger);
/// count, largest, median, outliers [numbers], dead [numbers]
nlohmann::json to_json(const quant::ChannelReport& channels);

}  // namespace detent::report
