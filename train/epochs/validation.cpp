#include "detent/train/epochs/validation.h"

#include <cmath>

#include "detent/train/losses/loss.h"

namespace detent::train {

Validation validate(nn::Graph& graph, const data::Dataset& dataset, const data::Normalization& normalization,
                    const TrainSettings& train, evaluation::Reporter& reporter) {
  Validation result{.score = {.targets = dataset.targets}};
  Arena arena;
  evaluation::for_each_batch(dataset, normalization, "validate", reporter, [&](const data::Batch& batch) {
    nn::Tape tape(&arena, nn::Tape::Mode::Inference);
    nn::Context context{.tape = tape};
    const nn::Variable outputs = graph.forward(context, tape.constant(batch.examples));
    result.loss += loss_of(outputs, batch.labels, train).value().item() * static_cast<double>(batch.size());
    result.score.add(outputs.value(), batch.labels);
  });
  result.loss /= static_cast<double>(dataset.size());
  check(std::isfinite(result.loss), "the loss of the validation part is not finite; lower learning_rate, or set ",
        "clip_norm");
  return result;
}

}  // namespace detent::train
