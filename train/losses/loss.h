#pragma once

#include "detent/data/dataset.h"
#include "detent/nn/graph.h"
#include "detent/train/settings.h"

namespace detent::train {

/// `train` with what it leaves to the data decided: the loss that stands for "auto", and the weights of "balanced"
///
///   of classes  w_k = N / (K * examples of class k), as scikit-learn's, 1 of a class without examples
///   of flags    w_k = examples without / examples with flag k, 1 where all or none have it
///
/// Throws Error for a loss that is not for these targets, and for weights where the loss takes none or of another
/// number than there are classes or flags.
TrainSettings settled_for(const TrainSettings& train, const data::Dataset& dataset);

/// What `loss` learns: Auto and MeanSquaredError go by the labels, s32 are classes.
data::TargetKind targets_of(LossKind loss, const Tensor& labels);

/// The loss of a batch: outputs [N, K], labels as batches have them. MeanSquaredError of classes is that of one-hot
/// vectors.
nn::Variable loss_of(const nn::Variable& outputs, const Tensor& labels, const TrainSettings& train);

/// Whether the loss has a softmax of its own: the model gives it scores.
bool takes_scores(const TrainSettings& train);
/// Throws Error for a graph that ends with a softmax or sigmoid where the loss has one of its own: that of a softmax
/// learns badly, for what it gives lies within a factor of e.
void check_loss(const nn::Graph& graph, const TrainSettings& train);

}  // namespace detent::train
