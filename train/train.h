#pragma once

#include <functional>
#include <string>

#include "detent/data/dataset.h"
#include "detent/data/loader.h"
#include "detent/evaluation/progress.h"
#include "detent/nn/graph.h"
#include "detent/train/checkpoint.h"
#include "detent/train/settings.h"

namespace detent::train {

/// What float training and quantization-aware training differ in.
struct TrainPhase {
  std::string name;  ///< "float", "qat": for progress, and what a checkpoint is of
  std::int64_t epochs = 1;
  /// The epochs [begin, end) of the phase are trained, at their places in its schedule: a phase may train one graph
  /// first and another then. No end: all that are left.
  std::int64_t begin = 0;
  std::optional<std::int64_t> end = {};
  double learning_rate = 1e-3;
  std::int64_t first_epoch = 0;  ///< of the whole run: later epochs shuffle and augment otherwise than earlier ones
  /// Called before each step, with its number and how many there are in this phase: freezes at its time.
  std::function<void(std::int64_t step, std::int64_t steps)> before_step = {};
  Teacher* teacher = nullptr;  ///< null: the phase learns from labels alone
  /// The part held out, on which each epoch is judged; null: there is none.
  const data::Dataset* validation = nullptr;
  /// From this step on the phase trains what it is to end with: the first epoch that ends after it begins the search
  /// for the best one anew. Of QAT, where ranges freeze.
  std::int64_t settled_step = 0;
  /// Where an earlier run of this phase was cut off, between any two steps or at the end; null: the phase begins.
  /// `graph` must then be the checkpoint's.
  const Checkpoint* resume = nullptr;
};

/// What [train] and [data] say, and the seed.
struct TrainOptions {
  TrainSettings train = {};
  data::Normalization normalization = {};
  data::Augmentation augment = {};
  std::uint64_t seed = 0;
  bool profile = false;  ///< whether to tell where the time went, in a message at the end of the phase
  /// The file that is written now and then (resume/phase_saver.h); empty: none. Beside it, with keep "best", that of
  /// the best epoch (best_checkpoint).
  std::filesystem::path checkpoint = {};
  double checkpoint_seconds = 30.0;       ///< from one to the next; 0: after each step
  Attributes checkpoint_attributes = {};  ///< what is written into it besides
  /// Called after each epoch, with what it came to and the state of loss scaling.
  std::function<void(const evaluation::EpochResult&, const std::optional<optim::GradScaler::State>&)> after_epoch = {};
};

struct TrainResult {
  double seconds = 0.0;                                 ///< of a phase that goes on: since then
  std::optional<optim::GradScaler::State> scaler = {};  ///< as it ends, with precision "fp16"
  std::int64_t steps = 0;                               ///< of the epochs that the phase trained
  double loss = 0.0;                                    ///< of the last batch; 0 without one
  std::vector<evaluation::EpochResult> epochs = {};     ///< that the phase trained
  std::int64_t kept_step = 0;      ///< the step of the phase before which the graph that it ends with stood
  bool writes_checkpoints = true;  ///< false: one could not be written, as was told in a message
};

/// "checkpoint-best.h5" beside "checkpoint.h5".
std::filesystem::path best_checkpoint(const std::filesystem::path& checkpoint);

/// Trains `graph`, which has weights, on `dataset` for the phase's epochs. A step is: forward on a tape, loss,
/// backward, of `accumulate` batches one after the other, whose gradients add up to those of the mean over all their
/// examples; then clip, optimizer step, gradients dropped. All memory of a step is used again in the next. After each
/// epoch the graph is run on the validation part, and epochs/epoch_judge.h decides what follows. With keep "best" the
/// graph ends as it was after the best epoch. Everything
/// depends on graph, data, options and phase alone, not on the number of threads. A phase that goes on from a
/// checkpoint ends with the same bits as one that was never cut off. Batches are cut as batches.h says. Asked for the
/// end, it finishes its step, writes a checkpoint and throws Interrupted; a step that takes seconds more is given up.
/// Throws Error if a loss, or after an epoch a parameter, a statistic, a range or the optimizer's state, is not finite,
/// naming step, layer and example, and the last good checkpoint; if the gradient scaler skipped every step of the
/// phase; as settled_for and cut_batches do; for keep "best" or patience without a validation part; and for a
/// checkpoint of another phase, seed or model.
TrainResult train_phase(nn::Graph& graph, const data::Dataset& dataset, const TrainOptions& options,
                        const TrainPhase& phase, evaluation::Reporter& reporter);

}  // namespace detent::train
