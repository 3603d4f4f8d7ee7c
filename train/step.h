#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "detent/evaluation/targets/target_score.h"
#include "detent/nn/graph.h"
#include "detent/optim/grad_scaler.h"
#include "detent/optim/optimizer.h"
#include "detent/runtime/plan.h"
#include "detent/train/settings.h"

namespace detent::train {

/// A model whose outputs are learned beside the labels (Hinton, Vinyals, Dean 2015), for T = temperature:
///
///   loss = (1 - share) * the labels' loss + share * T^2 * mean KL(softmax(teacher / T) || softmax(logits / T))
///
/// Its plan runs on each batch, in inference. A teacher is for one thread.
class Teacher {
 public:
  /// `model` has the inputs and outputs of the models that learn from it. REQUIRES: 0 <= share <= 1, temperature > 0.
  Teacher(runtime::Model model, double share, double temperature)
      : model_(std::move(model)), share_(share), temperature_(temperature) {}

  nn::Variable loss(const nn::Variable& logits, const nn::Variable& of_labels, const Tensor& images);

 private:
  runtime::Model model_;
  double share_;
  double temperature_;
  std::map<std::int64_t, runtime::Plan> plans_;  // by batch: the last one of an epoch may be smaller
};

/// What a step throws whose loss is not finite.
class LossNotFinite : public Error {
 public:
  using Error::Error;
};

/// Training steps as [train] says, and what they keep between them: the optimizer, with precision "fp16" the gradient
/// scaler, and the memory of a step, which is used again in the next. Training and `detent bench step` run the same
/// steps.
class TrainStep {
 public:
  /// `graph` must have weights and outlive the steps; `seed` is that of dropout masks. Throws Error for a graph that
  /// ends with a softmax where the loss is cross-entropy, which has one of its own. `settings` are those of a data set
  /// (losses/loss.h); the loss "auto" goes by the labels: cross-entropy or, of f32, mean squared error.
  TrainStep(nn::Graph& graph, const TrainSettings& settings, std::uint64_t seed);

  struct Result {
    double loss = 0.0;                   ///< mean over the batch
    evaluation::TargetScore score = {};  ///< of the batch's outputs
    std::size_t saved_bytes = 0;         ///< activations kept from forward to backward: see run
    bool is_skipped = false;             ///< with precision "fp16": a gradient was not finite, so no weight has changed
  };
  /// One step: forward on a tape, loss, backward, clip, optimizer step, gradients dropped. With precision "fp16" the
  /// gradients are those of the scaled loss; they are unscaled, then clipped, and the step is skipped if one of them is
  /// not finite. `images` f32 [N, ...input_shape], `labels` as batches have them, s32 [N] or f32 [N, K]; `number` of
  /// the batch in the whole run: the index of its random numbers. saved_bytes is what the step's arena holds more after
  /// forward and loss than before: all that the tape's nodes captured, and the logits. Not in it are the images, which
  /// belong to the caller, and the weights with their packed copies, which are not activations. Throws LossNotFinite,
  /// before any weight has changed, if the loss is not finite.
  Result run(const Tensor& images, const Tensor& labels, double learning_rate, std::uint64_t number);
  /// The two halves of it, for steps of several batches: adds `share` times the gradients of a batch to those that are
  /// there ...
  Result accumulate(const Tensor& images, const Tensor& labels, double share, std::uint64_t number);
  /// ... and makes the step of what has come together. Returns whether it was taken: see Result::is_skipped.
  bool apply(double learning_rate);

  /// From now on `profiler`, which must outlive the steps, measures them; null: nobody. Beside those of the graph's
  /// modules there are the rows "loss" and "optimizer" (with clipping).
  void set_profiler(Profiler* profiler) { profiler_ = profiler; }

  /// From now on steps learn from `teacher`, too, which must outlive them; null: from labels alone. The profiler has a
  /// row "teacher".
  void set_teacher(Teacher* teacher) { teacher_ = teacher; }

  /// What a checkpoint holds besides the model. `scaler` has a value with precision "fp16" only.
  struct State {
    std::map<std::string, Tensor> optimizer;
    std::optional<optim::GradScaler::State> scaler;
  };
  /// The tensors share the optimizer's memory: they are those of the moment until the next step.
  State state();
  /// Copies them. Throws Error if one is missing or does not fit the graph and the settings.
  void set_state(const State& state);

  optim::Optimizer& optimizer() { return *optimizer_; }
  /// The scale and how many steps were skipped, with precision "fp16".
  std::optional<optim::GradScaler::State> scaler() const {
    return scaler_ ? std::optional(scaler_->state()) : std::nullopt;
  }
  const Arena& arena() const { return arena_; }

 private:
  nn::Variable profiled_loss(const nn::Variable& logits, const Tensor& labels, const Tensor& images) const;
  bool step_weights(double learning_rate);

  nn::Graph& graph_;
  TrainSettings settings_;
  std::uint64_t seed_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::optional<optim::GradScaler> scaler_;
  Arena arena_;
  Profiler* profiler_ = nullptr;
  Teacher* teacher_ = nullptr;
};

}  // namespace detent::train
