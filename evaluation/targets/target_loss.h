#pragma once

#include "detent/data/dataset.h"

namespace detent::evaluation {

/// The mean over a batch of the loss that its targets ask for, by which forms of one model are told apart:
///
///   classes  the cross-entropy, in nats
///   values   (output - target)^2, over all K columns
///   flags    the binary cross-entropy, in nats, over all K flags
///
/// Outputs are [B, K], f32 or as products give them: logits of classes and flags, or, where `are_probabilities`, the
/// classes' probabilities, of which one below 2^-24 counts as 2^-24.
double target_loss(const Tensor& outputs, const Tensor& labels, data::TargetKind targets, bool are_probabilities);

/// "cross-entropy", "squared error" or "binary cross-entropy".
const char* loss_name(data::TargetKind targets);

}  // namespace detent::evaluation
