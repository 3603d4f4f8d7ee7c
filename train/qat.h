#pragma once

#include "detent/evaluation/evaluate.h"
#include "detent/quant/kinds/kind.h"
#include "detent/train/resume/run_results.h"
#include "detent/train/run_data.h"
#include "detent/train/train.h"

namespace detent::train {

/// The steps of quantization-aware training at which something changes, as [qat] says, of `steps` in all:
///
///   0 <= start < freeze_batch_norm, freeze_observers <= steps
///
/// Steps before `start` train the float graph. Before the step freeze_batch_norm batch-norm statistics are frozen,
/// before freeze_observers ranges and, at the latest, these statistics; `steps` stands for after the last step. The
/// first step with quantizers is never frozen, for something must have been observed; what lies beyond the end comes at
/// the end.
struct QatSchedule {
  std::int64_t steps = 0;
  std::int64_t start = 0;
  std::int64_t freeze_batch_norm = 0;
  std::int64_t freeze_observers = 0;
  bool operator==(const QatSchedule&) const = default;
};
/// REQUIRES: qat.start < qat.epochs, steps_per_epoch >= 1.
QatSchedule qat_schedule(const QatSettings& qat, std::int64_t steps_per_epoch);

/// What quantization-aware training is told of its run. `options` are those of its training.
struct QatRun {
  const Settings& settings;
  const quant::Kinds& kinds;
  const RunData& data;
  TrainOptions options;
  evaluation::Reporter& reporter;
  RunResults results = {};             ///< of what came before
  const Checkpoint* resume = nullptr;  ///< of "qat in float" or "qat", where an earlier run was cut off there
};

/// The phase that trains `prepared`: the epochs from [qat] start on. Before each step it freezes what is to be frozen
/// at that step, by its number alone, so that a phase that goes on from a checkpoint freezes as one that was never cut
/// off. REQUIRES: `run` and `prepared` outlive it.
TrainPhase qat_phase(const QatRun& run, nn::Graph& prepared);

struct QatTrained {
  nn::Graph prepared;   ///< with observers frozen
  TrainResult trained;  ///< of the epochs in float and those with quantizers together
  std::optional<evaluation::Calibration> calibration = {};  ///< with calibrate_first
};
/// Trains a copy of the float graph `graph`, its teacher with [qat] distill, as [qat] says: `start` epochs in float, by
/// the same schedule of the learning rate; then prepared for int8, with the ranges of a calibration where
/// calibrate_first asks for it, and a new optimizer. Goes on where run.resume says. Throws Error as train_phase.
QatTrained train_qat(const QatRun& run, const nn::Graph& graph);

/// Throws Error, before any training, if [qat] asks for batch norms to be re-estimated and the float graph has none.
void check_reestimation(const Settings& settings, const nn::Graph& graph);
/// Takes the batch-norm statistics of the frozen graph anew from [qat] reestimate_batch_norm batches of training
/// examples, or as many as there are (quant/methods/reestimate_batch_norm.h), and widens ranges that then clip much.
/// Returns how many batches there were.
std::int64_t reestimate_batch_norms(const QatRun& run, nn::Graph& prepared);

}  // namespace detent::train
