#include "detent/train/epochs/epoch_judge.h"

#include <cmath>

namespace detent::train {

EpochJudge::EpochJudge(const TrainSettings& train, ProgressState state)
    : monitor_(train.monitor),
      patience_(train.patience),
      is_plateau_(train.schedule == ScheduleKind::Plateau),
      plateau_{.factor = train.step_factor, .patience = train.plateau_patience},
      state_(std::move(state)) {}

double EpochJudge::monitored(const evaluation::EpochResult& epoch) const {
  return monitor_ == Monitor::Loss ? epoch.validation_loss.value_or(epoch.loss)
                                   : epoch.validation_accuracy.value_or(epoch.accuracy);
}

void EpochJudge::take(evaluation::EpochResult epoch) {
  const double value = monitor_ == Monitor::Loss ? monitored(epoch) : -monitored(epoch);
  if (std::isfinite(value) && (!state_.best || value < *state_.best)) {
    state_.best = value;
    state_.best_epoch = epoch.epoch;
  }
  if (is_plateau_) {
    optim::Plateau plateau(plateau_, state_.plateau);
    plateau.feed(value);
    state_.plateau = plateau.state();
  }
  state_.epochs.push_back(std::move(epoch));
  state_.loss_sum = 0.0;
  state_.score = {};
}

void EpochJudge::forget_best() {
  state_.best.reset();
  state_.best_epoch = 0;
}

bool EpochJudge::is_best() const { return !state_.epochs.empty() && state_.best_epoch == state_.epochs.back().epoch; }

bool EpochJudge::should_stop() const {
  return patience_ > 0 && state_.best_epoch > 0 && state_.epochs.back().epoch - state_.best_epoch >= patience_;
}

}  // namespace detent::train
