#pragma once

#include <memory>
#include <string>

#include "nn/graph.h"
#include "optim/optimizer.h"
#include "recipes/recipe.h"

namespace detent::recipes {

/// Training steps as [train] says, and what they keep between them: the optimizer and the memory of a step, which is
/// used again in the next. Training and `detent bench step` run the same steps.
class TrainStep {
 public:
  /// `graph` must have weights and outlive the steps; `seed` is that of dropout masks.
  TrainStep(nn::Graph& graph, const TrainSection& settings, std::uint64_t seed);

  struct Result {
    double loss = 0.0;            ///< mean over the batch
    std::int64_t correct = 0;     ///< how many examples were right
    std::size_t saved_bytes = 0;  ///< activations kept from forward to backward: see run
  };
  /// One step: forward on a tape, loss, backward, clip, optimizer step, gradients dropped. `images` f32
  /// [N, ...input_shape], `labels` s32 [N]; `number` of the step in the whole run: the index of its random numbers.
  /// saved_bytes is what the step's arena holds more after forward and loss than before: all that the tape's nodes
  /// captured, and the logits. Not in it are the images, which belong to the caller, and the weights with their packed
  /// copies, which are not activations. Throws Error, before anything of the model has changed, if the loss is not
  /// finite.
  Result run(const Tensor& images, const Tensor& labels, double learning_rate, std::uint64_t number);

  /// From now on `profiler`, which must outlive the steps, measures them; null: nobody. Beside those of the graph's
  /// modules there are the rows "loss" and "optimizer" (with clipping).
  void set_profiler(autograd::Profiler* profiler) { profiler_ = profiler; }

  optim::Optimizer& optimizer() { return *optimizer_; }
  const Arena& arena() const { return arena_; }

 private:
  nn::Variable profiled_loss(const nn::Variable& logits, const Tensor& labels) const;

  nn::Graph& graph_;
  TrainSection settings_;
  std::uint64_t seed_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  Arena arena_;
  autograd::Profiler* profiler_ = nullptr;
};

}  // namespace detent::recipes
