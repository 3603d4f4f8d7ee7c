#pragma once

#include <optional>

#include "detent/data/dataset.h"
#include "detent/data/loader.h"
#include "detent/evaluation/progress.h"
#include "detent/evaluation/targets/target_score.h"
#include "detent/evaluation/verify.h"
#include "detent/nn/graph.h"
#include "detent/quant/kinds/kind.h"
#include "detent/quant/passes/open_model.h"
#include "detent/quant/quantizers/measure.h"

namespace detent::evaluation {

/// Examples of a batch where nothing is trained. Results do not depend on it.
inline constexpr std::int64_t kEvaluationBatch = 256;

/// `plan`, made anew where it is for batches of another size, as the last of a data set is.
template <typename Plan, typename... Options>
Plan& plan_for(std::optional<Plan>& plan, const runtime::Model& model, std::int64_t batch, const Options&... options) {
  if (!plan || plan->batch() != batch) {
    plan.emplace(model, batch, options...);
  }
  return *plan;
}

/// Calls use(batch) for every batch of `dataset`, in order. `phase` is for progress.
template <typename Use>
void for_each_batch(const data::Dataset& dataset, const data::Normalization& normalization, const std::string& phase,
                    Reporter& reporter, Use use) {
  data::Loader loader(dataset, {.batch = kEvaluationBatch, .augment = {}, .normalization = normalization});
  PhaseClock clock(reporter, phase, 0, loader.batches_per_epoch(), dataset.size());
  for (data::Batch batch; loader.next(batch);) {
    use(batch);
    clock.batch_done(batch.size());
  }
}

struct Evaluation {
  TargetScore score = {};                 ///< against the targets, whatever their kind
  std::vector<std::int32_t> predictions;  ///< the largest output's number, image by image; the first of equal ones
  std::int64_t not_finite = 0;            ///< images for which an output is not finite
  std::vector<float> confidences = {};    ///< of each prediction: evidence/confidence.h
  std::vector<float> margins = {};
  std::vector<float> errors = {};  ///< of targets that are no classes: evidence/errors.h
  double seconds = 0.0;
  double accuracy() const { return score.value(); }  ///< the share that is right, of values R2
};

/// kernels::argmax_rows of `logits` [N, K], f32, or bf16 as products give it.
std::vector<std::int32_t> predictions_of(const Tensor& logits);
/// How many of `predictions` are as `labels` s32 says.
std::int64_t count_correct(std::span<const std::int32_t> predictions, const Tensor& labels);

/// How many of two models' predictions on the same examples differ.
std::int64_t count_changed(std::span<const std::int32_t> before, std::span<const std::int32_t> after);

/// Runs `graph` on all of `dataset`, in order, in inference.
Evaluation evaluate(nn::Graph& graph, const data::Dataset& dataset, const data::Normalization& normalization,
                    Reporter& reporter);
/// The same of a model, by its plan.
Evaluation evaluate(const runtime::Model& model, const data::Dataset& dataset, const data::Normalization& normalization,
                    Reporter& reporter);
/// The same of what a file holds.
Evaluation evaluate(quant::OpenedModel& model, const data::Dataset& dataset, const data::Normalization& normalization,
                    Reporter& reporter);

/// Feeds all of `dataset` through the prepared and frozen model and its converted one: evaluation/verify.h.
VerifyReport verify(const nn::Graph& prepared, const runtime::Model& int8, const data::Dataset& dataset,
                    const data::Normalization& normalization, Reporter& reporter);

/// How the ranges of a calibration came to stand.
struct Calibration {
  std::int64_t examples = 0;  ///< that were seen
  std::int64_t last = 0;  ///< of them the last ones, in whole batches about a quarter, over which growth is measured
  struct Growth {
    std::string name = {};  ///< of the module
    MinMax before = {};     ///< its range before the last examples
    MinMax after = {};
    double share() const;  ///< by how much of its width it grew
  };
  std::vector<Growth> growths = {};  ///< of every quantizer, in running order; empty where there was one batch alone
};

/// Runs `prepared` on the first `examples` of the training order of `seed`, so that it observes its ranges.
Calibration calibrate(nn::Graph& prepared, const data::Dataset& train, const data::Normalization& normalization,
                      std::int64_t examples, std::uint64_t seed, Reporter& reporter);

/// The same, then freezes the ranges and corrects biases on the same examples: quant/methods/bias_correction.h.
Calibration calibrate_and_correct_biases(nn::Graph& prepared, const data::Dataset& train,
                                         const data::Normalization& normalization, std::int64_t examples,
                                         std::uint64_t seed, Reporter& reporter);

/// `graph` with weights rounded on the same examples: quant/methods/adaround.h.
nn::Graph adaround(const nn::Graph& graph, const quant::QConfigMapping& mapping, const data::Dataset& train,
                   const data::Normalization& normalization, std::int64_t examples, std::uint64_t seed,
                   Reporter& reporter, const quant::Kinds& kinds);

/// Ranges are measured on at least so many training examples.
inline constexpr std::int64_t kMeasuredExamples = 512;
/// What the ranges of `prepared` do to the first `examples`, or kMeasuredExamples if that is more, of another training
/// order of `seed`. The model must not be calibrating.
std::vector<quant::RangeReport> measure_ranges(nn::Graph& prepared, const data::Dataset& train,
                                               const data::Normalization& normalization, std::int64_t examples,
                                               std::uint64_t seed, Reporter& reporter);
/// Widens the ranges of a model in training for int8 until none clips more than quant::kClippedShare of these examples'
/// values, then freezes them.
void settle_ranges(nn::Graph& prepared, const data::Dataset& train, const data::Normalization& normalization,
                   std::int64_t examples, std::uint64_t seed, Reporter& reporter);

}  // namespace detent::evaluation
