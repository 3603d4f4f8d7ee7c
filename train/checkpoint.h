#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "detent/io/tensor_file.h"
#include "detent/nn/graph.h"
#include "detent/quant/kinds/kind.h"
#include "detent/train/epochs/progress_state.h"
#include "detent/train/step.h"

namespace detent::train {

/// Where training stands between two steps: with the recipe and the model, all that the rest of the phase depends on.
/// Shuffles, augmentation and dropout are functions of the seed and of these numbers, so there is no other random
/// state.
struct TrainPosition {
  std::string phase = {};  ///< "float", "qat in float", "qat"
  std::int64_t epoch = 0;  ///< epochs of the phase that are done
  std::int64_t step = 0;   ///< steps of the phase that are done; what the done epochs do not have is of the next one
  std::uint64_t seed = 0;
  double loss = 0.0;       ///< of the last step
  bool drop_last = false;  ///< whether the phase leaves out a last batch that is not full, as it decided when it began
  ProgressState progress = {};
};

using Attributes = std::map<std::string, TensorFile::Attribute>;

/// A checkpoint, read back.
struct Checkpoint {
  nn::Graph graph;  ///< the graph in training: weights, statistics, and of a prepared graph ranges and whether frozen
  TrainStep::State step;  ///< optimizer and gradient scaler
  TrainPosition position;
  Attributes others = {};  ///< what else was written beside it
};

/// Writes a model file (nn/model_file.h) that holds besides the graph
///
///   attributes   checkpoint = 1, the version of this list; phase, epoch, step, seed, loss, drop_last; progress, the
///   text of
///                epochs/progress_state.h; with loss scaling: loss_scale, finite_steps, skipped_steps; and `others`
///   tensors      optimizer/steps, optimizer/<state>/<parameter>
///
/// whole or not at all. The same training gives the same bytes.
void save_checkpoint(const std::filesystem::path& path, const nn::Graph& graph, const TrainStep::State& step,
                     const TrainPosition& position, const Attributes& others = {});
/// Throws Error, naming the file, if it is no checkpoint.
Checkpoint load_checkpoint(const std::filesystem::path& path, const quant::Kinds& kinds = quant::standard_kinds());

}  // namespace detent::train
