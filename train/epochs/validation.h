#pragma once

#include "detent/data/loader.h"
#include "detent/evaluation/evaluate.h"
#include "detent/evaluation/targets/target_score.h"
#include "detent/nn/graph.h"
#include "detent/train/settings.h"

namespace detent::train {

/// How a model in training does on the part that is held out.
struct Validation {
  double loss = 0.0;  ///< the labels' loss of [train], the mean over examples
  evaluation::TargetScore score = {};
};

/// Runs `graph` in inference, which changes nothing of it, on all of `dataset`. `train` is settled for it
/// (losses/loss.h). Throws Error if the loss is not finite.
Validation validate(nn::Graph& graph, const data::Dataset& dataset, const data::Normalization& normalization,
                    const TrainSettings& train, evaluation::Reporter& reporter);

}  // namespace detent::train
