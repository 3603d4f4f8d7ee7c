#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace detent::evaluation {

/// What an epoch of training came to. Losses and accuracies are means over its examples; "accuracy" is
/// TargetScore::value, of values R2.
struct EpochResult {
  std::string phase = {};                      ///< "float", "qat in float", "qat"
  std::int64_t epoch = 0;                      ///< of the phase, counted from 1
  double loss = 0.0;                           ///< of the training examples, each as the model was when it came to it
  double accuracy = 0.0;                       ///< likewise
  std::optional<double> validation_loss = {};  ///< of the part held out, by the model at the end of the epoch
  std::optional<double> validation_accuracy = {};  ///< likewise
  double learning_rate = 0.0;                      ///< of the last step
  double seconds = 0.0;                            ///< with its validation; 0 of an epoch before a run went on
  bool operator==(const EpochResult&) const = default;
};

}  // namespace detent::evaluation
