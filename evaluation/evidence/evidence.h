#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "detent/evaluation/checks.h"
#include "detent/evaluation/evaluate.h"
#include "detent/evaluation/evidence/errors.h"
#include "detent/evaluation/evidence/slices.h"
#include "detent/evaluation/evidence/speed.h"
#include "detent/evaluation/significance.h"
#include "detent/quant/passes/open_model.h"

/// What is known of one model, or of what changed between two, beside their accuracy: docs/evidence.md says what each
/// number means.
namespace detent::evaluation {

/// A module of a model with codes that computes in float, and why.
struct FloatModule {
  std::string module = {};
  std::string why = {};
};
/// Of an int8 model the operations that neither read nor give codes, of a model in training for int8 the modules that a
/// note keeps in float; of a float model none.
std::vector<FloatModule> float_modules_of(const quant::OpenedModel& model);

/// What the parameters take in the model's file: weights, biases, scales, zero points, statistics.
std::int64_t parameter_bytes_of(const quant::OpenedModel& model);

/// How one model does on a slice.
struct SliceScore {
  std::string slice = {};
  std::int64_t examples = 0;
  std::int64_t correct = 0;  ///< of classes
  double error = 0.0;        ///< of other targets: the mean error (errors.h)
  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(examples); }
};

struct ModelEvidence {
  std::string name = {};  ///< "fp32", "qat", "int8" of a run; or the file
  std::string kind = {};  ///< "fp32", "qat", "int8"
  data::TargetKind targets = data::TargetKind::kClasses;
  std::int64_t examples = 0;
  std::int64_t correct = 0;  ///< of classes
  double error = 0.0;        ///< of other targets: the mean error (errors.h)
  /// [label][prediction]: how many examples; none where there are more than kMostConfused classes.
  std::vector<std::vector<std::int64_t>> confusion = {};
  double calibration_error = 0.0;  ///< confidence.h
  std::vector<SliceScore> slices = {};
  std::optional<Speed> speed = {};
  std::int64_t file_bytes = 0;
  std::int64_t parameter_bytes = 0;
  std::vector<FloatModule> float_modules = {};

  double accuracy() const { return static_cast<double>(correct) / static_cast<double>(examples); }
};
inline constexpr std::int64_t kMostConfused = 200;

/// An example for which two models say different classes.
struct Flip {
  std::int64_t index = 0;  ///< in the test set
  std::int32_t label = 0;
  std::int32_t a = 0, b = 0;
  float margin_a = 0.0F, margin_b = 0.0F;  ///< confidence.h
};

/// What changed in a slice.
struct SliceChange {
  std::string slice = {};
  std::int64_t examples = 0;
  std::int64_t correct_a = 0, correct_b = 0;
  std::int64_t lost = 0, won = 0;  ///< as PairedTest's

  double accuracy_a() const { return static_cast<double>(correct_a) / static_cast<double>(examples); }
  double accuracy_b() const { return static_cast<double>(correct_b) / static_cast<double>(examples); }
  /// accuracy_b - accuracy_a, and where it lies at a confidence of 95 %.
  double change() const { return static_cast<double>(won - lost) / static_cast<double>(examples); }
  Interval interval() const { return paired_interval(lost, won, examples); }
};

/// What changed from model a to model b. Of classes accuracies and flips, of other targets errors.
struct PairEvidence {
  std::string a = {}, b = {};
  SliceChange whole = {};  ///< the test set; its slice is ""
  double mcnemar_p = 1.0;  ///< PairedTest::p_value
  std::vector<Flip> flips = {};
  std::vector<SliceChange> slices = {};  ///< the same as of the models
  std::optional<ErrorChange> whole_error = {};
  std::vector<ErrorChange> slice_errors = {};
};

/// What was held against thresholds.
struct Verdict {
  std::vector<std::string> checked = {};   ///< "max_slice_drop <= 0.02"
  std::vector<std::string> failures = {};  ///< one line each
};

struct Evidence {
  std::vector<ModelEvidence> models = {};
  std::vector<PairEvidence> pairs = {};  ///< the first model against the last one first
  Verdict verdict = {};
};

/// A model, and what it said of the test set.
struct EvaluatedModel {
  std::string name = {};
  const quant::OpenedModel* model = nullptr;
  std::int64_t file_bytes = 0;
  Evaluation evaluation = {};
};

struct EvidenceOptions {
  std::vector<SliceRule> slices = {};
  std::optional<SpeedOptions> speed = SpeedOptions();  ///< none: speed is not measured
};

/// The evidence of `models`, which are different forms of one network or different networks for one task, and of every
/// pair of them; without a verdict. No model runs on `dataset` again. Throws Error for models without a name of their
/// own, and for predictions of other examples.
Evidence collect_evidence(std::span<const EvaluatedModel> models, const data::Dataset& dataset,
                          const EvidenceOptions& options, const quant::Kinds& kinds = quant::standard_kinds());

/// What `check` says of slices, flips and calibration, held against the first pair's change from a to b, and against b;
/// of a single model slices are compared with the whole test set. Slices of fewer than kSmallSlice examples are not
/// checked.
///   max_slice_drop         accuracy of a - accuracy of b in a slice; of one model accuracy of all - accuracy in it
///   min_slice_accuracy     of b in every slice
///   max_flips              share of the examples for which a and b say different classes
///   max_calibration_error  of b
/// Throws Error for any of these where targets are no classes.
void require_classes(const CheckSettings& bounds, data::TargetKind targets);
Verdict verdict_of(const CheckSettings& check, const Evidence& evidence);
/// That, and of classes what `check` says of accuracies: fp32_accuracy and int8_accuracy of the models of these kinds,
/// and max_drop from a to b.
Verdict whole_verdict_of(const CheckSettings& check, const Evidence& evidence);
inline constexpr std::int64_t kSmallSlice = 20;

}  // namespace detent::evaluation
