#pragma once

#include <optional>
#include <string>
#include <vector>

#include "detent/evaluation/drift/monitor.h"
#include "detent/evaluation/evaluate.h"
#include "detent/evaluation/evidence/evidence.h"
#include "detent/evaluation/portrait/portrait.h"
#include "detent/evaluation/record/run_record.h"
#include "detent/evaluation/targets/epoch_result.h"
#include "detent/evaluation/targets/target_score.h"
#include "detent/evaluation/verify.h"
#include "detent/optim/grad_scaler.h"
#include "detent/quant/methods/method.h"
#include "detent/quant/passes/convert.h"
#include "detent/quant/quantizers/measure.h"

namespace detent::evaluation {

/// Accuracies below are TargetScore::value: the share of test examples that are right, of values R2.

/// What became of a trained model when its batch-norm statistics were taken anew.
struct Reestimation {
  std::int64_t batches = 0;
  double accuracy_before = 0.0, accuracy_after = 0.0;  ///< on the test set
};

/// The float model, or the one in quantization-aware training.
struct TrainedResult {
  double test_accuracy = 0.0;
  double train_seconds = 0.0;
  std::int64_t model_bytes = 0;
  DType precision = DType::F32;                         ///< of the float products in training
  std::optional<optim::GradScaler::State> scaler = {};  ///< with precision "fp16"
  std::int64_t steps = 0;                               ///< of training
  bool was_trained_before = false;                      ///< its weights came from a file
  double loss = 0.0;                                    ///< of the last step
  std::optional<Reestimation> reestimation = {};        ///< of batch-norm statistics, if it was asked for
  TargetScore score = {};                               ///< on the test set
};

/// An int8 model.
struct Int8Result {
  std::string name = {};  ///< "int8", or for a static one made beside it "static per-channel"
  quant::Method method = quant::Method::Qat;
  std::string weights = {};  ///< "int8 per-channel symmetric"
  std::vector<quant::Improvement> improve = {};
  double test_accuracy = 0.0;
  double seconds = 0.0;  ///< of quantization-aware training, or of calibration
  std::int64_t model_bytes = 0;
  VerifyReport verify = {};
  std::optional<Calibration> calibration = {};  ///< that its ranges, or those that QAT began with, come from
  std::vector<quant::RangeReport> ranges = {};  ///< what its ranges do to training examples
  TargetScore score = {};                       ///< on the test set
};

/// All that a run found out: metrics.json, and what the table and the checks are made from.
struct Metrics {
  std::string recipe = {};
  std::string dataset = {};
  std::string dataset_description = {};
  std::uint64_t seed = 0;
  int threads = 0;
  data::TargetKind targets = data::TargetKind::kClasses;
  std::vector<std::string> target_names = {};  ///< of values and flags
  TrainedResult fp32 = {};
  std::optional<TrainedResult> qat = {};        ///< with method "qat"
  std::optional<Int8Result> int8 = {};          ///< the main int8 model
  std::optional<Int8Result> not_improved = {};  ///< the same without its improvements, if it has some
  std::vector<Int8Result> variants = {};        ///< the static ones of compare_static
  std::vector<quant::LedgerRow> ledger = {};
  std::optional<Evidence> evidence = {};  ///< of the float model, if it was trained, that of QAT, and int8
  std::vector<EpochResult> epochs = {};   ///< of all phases of training, in order
  double total_seconds = 0.0;
  double chance = 0.0;                     ///< findings.h: chance_of the test set
  std::vector<std::string> warnings = {};  ///< findings.h
  /// What was compared because [check] names it: "fp32_accuracy >= 0.97". That no code differs is checked always.
  std::vector<std::string> checked = {};
  std::vector<std::string> failures = {};  ///< one line for each check that failed
  RunRecord record = {};                   ///< what the run was made from
  std::optional<Portrait> portrait = {};   ///< of the model that ships
  std::optional<Drift> drift = {};         ///< of it on the test set, against the training data
};

}  // namespace detent::evaluation
