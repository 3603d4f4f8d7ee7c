#include "detent/train/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "detent/quant/kinds/qat_product.h"
#include "detent/report/metrics_table.h"

namespace detent::train {
namespace {

// The batch norm that trains on the fewest values a channel.
struct SmallestBatchNorm {
  std::string name;         // "the batch norm 'bn1'"
  std::int64_t values = 0;  // a channel and example
};

// What the batch norm in this node is called, if there is one that takes statistics from batches.
std::optional<std::string> batch_norm_of(const nn::Graph::Node& node) {
  if (node.module && node.module->kind() == "batch_norm") {
    return "the batch norm '" + node.name + "'";
  }
  auto* const product = dynamic_cast<quant::QatProduct*>(node.module.get());
  if (product != nullptr && product->batch_norm() != nullptr && !product->batch_norm()->is_frozen()) {
    return "the batch norm of '" + node.name + "'";
  }
  return std::nullopt;
}

std::optional<SmallestBatchNorm> smallest_batch_norm(const nn::Graph& graph) {
  std::optional<SmallestBatchNorm> smallest;
  for (const nn::Graph::Node& node : graph.nodes()) {
    if (const auto name = batch_norm_of(node)) {
      const std::int64_t values = node.shape.elements() / node.shape[node.shape.rank() - 1];
      if (!smallest || values < smallest->values) {
        smallest = {.name = *name, .values = values};
      }
    }
  }
  return smallest;
}

}  // namespace

Batches cut_batches(const nn::Graph& graph, const TrainSettings& train, std::int64_t examples) {
  const std::int64_t full = examples / train.batch;
  const std::int64_t leftover = examples % train.batch;
  const std::optional<SmallestBatchNorm> norm = smallest_batch_norm(graph);
  const auto is_too_few = [&](std::int64_t size) { return norm && size * norm->values < 2; };

  Batches batches{.per_epoch = full, .examples = examples - leftover, .drop_last = true};
  const bool is_small = norm && (4 * leftover < train.batch || is_too_few(leftover));
  if (leftover > 0 && !train.drop_last.value_or(is_small && full > 0)) {
    batches = {.per_epoch = full + 1, .examples = examples, .drop_last = false};
  } else if (leftover > 0 && !train.drop_last) {
    batches.message = fmt::format("the last {} of {} examples of each epoch {} left out: too few for {}",
                                  report::with_separators(leftover), report::with_separators(examples),
                                  leftover == 1 ? "is" : "are", norm->name);
  }
  check(batches.per_epoch > 0, "training: ", examples, " examples are fewer than one batch of ", train.batch,
        ", and drop_last leaves none; set [train] batch to at most ", examples);
  batches.accumulate = train.accumulate;
  const std::int64_t smallest = batches.drop_last || leftover == 0 ? train.batch : leftover;
  check(!is_too_few(smallest), "training: ", norm ? norm->name : "",
        " would get a single value a channel from a batch ", "of ", smallest, ", which has no variance; ",
        train.batch == 1 ? "set [train] batch to at least 2"
        : full > 0       ? "set [train] drop_last = true"
                         : "train on at least 2 examples");
  return batches;
}

TrainSettings with_batches_of(TrainSettings train, const TrainPosition& position) {
  train.drop_last = position.drop_last;
  return train;
}

std::int64_t count_steps(const Batches& batches, std::int64_t epochs) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  check(epochs <= kMost / batches.steps_per_epoch(), "training: ", epochs, " epochs of ", batches.steps_per_epoch(),
        " steps are more than ", kMost, " steps; lower epochs, or raise [train] batch");
  return epochs * batches.steps_per_epoch();
}

}  // namespace detent::train
