#pragma once

#include <functional>
#include <string>

#include "data/dataset.h"
#include "data/loader.h"
#include "nn/graph.h"
#include "recipes/progress.h"
#include "recipes/recipe.h"

namespace detent::recipes {

/// What float training and quantization-aware training differ in.
struct TrainPhase {
  std::string name;  ///< "float", "qat": for progress
  std::int64_t epochs = 1;
  double learning_rate = 1e-3;
  std::int64_t first_epoch = 0;  ///< of the whole run: later epochs shuffle and augment otherwise than earlier ones
  /// Called before each step, with its number and how many there are in this phase: freezes at its time.
  std::function<void(std::int64_t step, std::int64_t steps)> before_step = {};
};

/// What [train] and [data] say, and the seed.
struct TrainOptions {
  TrainSection train;
  data::Normalization normalization;
  data::Augmentation augment;
  std::uint64_t seed = 0;
  bool profile = false;  ///< whether to tell where the time went, in a message at the end of the phase
};

/// Trains `graph`, which has weights, on `dataset` for the phase's epochs, and returns the seconds that took. A step
/// is: forward on a tape, loss, backward, clip, optimizer step, gradients dropped; all memory of a step is used again
/// in the next. Everything depends on graph, data, options and phase alone, not on the number of threads. Throws Error
/// if the loss is not finite.
double train(nn::Graph& graph, const data::Dataset& dataset, const TrainOptions& options, const TrainPhase& phase,
             Reporter& reporter);

}  // namespace detent::recipes
