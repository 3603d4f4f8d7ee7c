#pragma once

#include <filesystem>
#include <string>

#include "detent/nn/graph.h"
#include "detent/train/step.h"

namespace detent::train {

/// Where training stands between two epochs: with the recipe, all that the rest of the phase depends on. Shuffles,
/// augmentation and dropout are functions of the seed and of these numbers, so there is no other random state.
struct TrainPosition {
  std::string phase = {};  ///< "float", "qat"
  std::int64_t epoch = 0;  ///< epochs of the phase that are done
  std::int64_t step = 0;   ///< steps of the phase that are done
  std::uint64_t seed = 0;
};

/// A checkpoint, read back.
struct Checkpoint {
  nn::Graph graph;  ///< the graph in training: weights, statistics, and of a prepared graph ranges and whether frozen
  TrainStep::State step;  ///< optimizer and gradient scaler
  TrainPosition position;
};

/// Writes a model file (nn/model_file.h) that holds besides the graph
///
///   attributes   phase, epoch, step, seed; with loss scaling: loss_scale, finite_steps, skipped_steps
///   tensors      optimizer/steps, optimizer/<state>/<parameter>
///
/// whole or not at all. The same training gives the same bytes.
void save_checkpoint(const std::filesystem::path& path, const nn::Graph& graph, const TrainStep::State& step,
                     const TrainPosition& position);
/// Throws Error, naming the file, if it is no checkpoint.
Checkpoint load_checkpoint(const std::filesystem::path& path);

}  // namespace detent::train
