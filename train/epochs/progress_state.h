#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detent/evaluation/targets/epoch_result.h"
#include "detent/evaluation/targets/target_score.h"
#include "detent/optim/plateau.h"

namespace detent::train {

/// What a phase of training remembers between two steps besides the model, the optimizer and the gradient scaler: with
/// them and its position it goes on as if it had never stopped. Gradients are accumulated within a step, so none are
/// left between two.
struct ProgressState {
  std::vector<evaluation::EpochResult> epochs = {};  ///< that are done, in order
  /// The epoch with the lowest monitored number so far, counted from 1; 0: none yet.
  std::int64_t best_epoch = 0;
  std::optional<double> best = {};     ///< its number
  optim::Plateau::State plateau = {};  ///< schedule "plateau"
  double loss_sum = 0.0;               ///< over the examples of the epoch that is going on
  evaluation::TargetScore score = {};  ///< of the same
  bool operator==(const ProgressState&) const = default;
};

/// The state as one line of JSON, exactly, but for the seconds of its epochs, in which two runs differ.
std::string to_json_text(const ProgressState& state);
/// Throws Error for what is no such text.
ProgressState progress_state_of(std::string_view json_text);

}  // namespace detent::train
