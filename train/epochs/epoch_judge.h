#pragma once

#include "detent/train/epochs/progress_state.h"
#include "detent/train/settings.h"

namespace detent::train {

/// Decides after each epoch of a phase what [train] leaves to its course: which epoch is the best, whether training
/// ends, and by what the learning rate is multiplied. What it goes by, lower being better, is of the validation part,
/// or without one of the training examples:
///
///   monitor "loss": the loss     monitor "accuracy": minus the accuracy
///
/// The best epoch is the first of those with the lowest number; one whose number is not finite never is.
class EpochJudge {
 public:
  /// `state` is where an earlier run of the phase was cut off; the default: the phase begins.
  EpochJudge(const TrainSettings& train, ProgressState state = {});

  /// Takes in an epoch, and ends the sums of the epoch that was going on.
  void take(evaluation::EpochResult epoch);
  /// From here on epochs so far are no longer the best: what is trained is another thing now.
  void forget_best();

  /// Whether the epoch that was taken in last is the best.
  bool is_best() const;
  /// Whether `patience` epochs have gone by without a new best one.
  bool should_stop() const;
  /// 1, but with schedule "plateau".
  double multiplier() const { return state_.plateau.multiplier; }
  /// Its number, of validation or of training, as people know it.
  double monitored(const evaluation::EpochResult& epoch) const;

  ProgressState& state() { return state_; }
  const ProgressState& state() const { return state_; }

 private:
  Monitor monitor_;
  std::int64_t patience_;
  bool is_plateau_;
  optim::Plateau::Options plateau_;
  ProgressState state_;
};

}  // namespace detent::train
