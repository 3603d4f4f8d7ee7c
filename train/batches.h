#pragma once

#include <string>

#include "detent/nn/graph.h"
#include "detent/train/checkpoint.h"
#include "detent/train/settings.h"

namespace detent::train {

/// How an epoch of training is cut into batches.
struct Batches {
  std::int64_t per_epoch = 0;
  std::int64_t examples = 0;  ///< that an epoch sees
  bool drop_last = false;     ///< whether the leftover, which does not fill a batch, is left out
  std::string message = {};   ///< what to tell of a leftover that is left out without having been asked for
  std::int64_t accumulate = 1;

  /// Of `accumulate` batches each, the last one of what is left.
  std::int64_t steps_per_epoch() const { return (per_epoch + accumulate - 1) / accumulate; }
};

/// The batches that [train] makes of `examples` for a float or prepared `graph`. Without drop_last in the recipe the
/// leftover is left out where a batch norm would take its statistics from less than a quarter of a batch, or from a
/// single value a channel; the examples are others each epoch, for they are shuffled.
/// Throws Error, naming the batch norm and the mend, if one would see a single value a channel all the same; and if
/// drop_last leaves no batch.
Batches cut_batches(const nn::Graph& graph, const TrainSettings& train, std::int64_t examples);

/// [train] of a phase that was cut off, which goes on with the batches that it began with, whatever has frozen since.
TrainSettings with_batches_of(TrainSettings train, const TrainPosition& position);

/// Steps of `epochs` epochs. Throws Error if they are more than optimizers count (2^31 - 1).
std::int64_t count_steps(const Batches& batches, std::int64_t epochs);

}  // namespace detent::train
