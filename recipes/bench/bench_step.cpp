#include "detent/nn/fuse_relu.h"
#include "detent/quant/passes/prepare.h"
#include "detent/recipes/bench/bench.h"
#include "detent/recipes/bench/bench_work.h"
#include "detent/train/step.h"

namespace detent::recipes {
namespace {

constexpr std::int64_t kTimedBatches = 16;
constexpr std::uint64_t kLearningSteps = 48;

/// The time of a step depends on how many gradients are 0, so the model first learns a little.
void learn(const nn::Graph& graph, const Recipe& recipe, const std::vector<data::Batch>& batches) {
  nn::Graph fused = nn::fuse_relu(graph);
  train::TrainStep step(fused, recipe.train, 1);
  for (std::uint64_t number = 0; number < kLearningSteps; ++number) {
    const data::Batch& batch = batches[number % batches.size()];
    step.run(batch.examples, batch.labels, recipe.train.learning_rate, number);
  }
}

}  // namespace

BenchResult bench_step(const BenchOptions& options, evaluation::Reporter& reporter) {
  const bool is_qat = options.precision == "qat";
  check(is_qat || options.precision == "fp32" || options.precision == "bf16" || options.precision == "fp16",
        "bench step: --precision: expected fp32, bf16, fp16 or qat, got '", options.precision, "'");
  std::vector<std::string> overrides;
  if (!is_qat) {
    overrides.push_back("train.precision=" + options.precision);
  }
  const Recipe recipe = load_recipe(options.model, overrides);
  nn::Graph graph = float_graph_of(recipe, options.image);
  const std::int64_t batch_size = options.batch > 0 ? options.batch : recipe.train.batch;
  const std::vector<data::Batch> batches =
      training_batches(kTimedBatches, batch_size, graph.input_shape(), graph.output_shape().elements());
  learn(graph, recipe, batches);
  graph = is_qat ? quant::prepare_qat(graph, recipe.qconfig_mapping()) : nn::fuse_relu(graph);

  BenchResult result{.what = "step",
                     .model = options.model,
                     .precision = options.precision,
                     .batch = batch_size,
                     .threads = options.threads,
                     .peak = kernels::measure_peak(options.threads)};
  result.ideal_seconds =
      static_cast<double>(result.batch) *
      ideal_step_seconds(graph, result.peak, {.product = recipe.train.precision, .qat_backward = recipe.qat.backward});

  train::TrainStep step(graph, recipe.train, 1);
  const double learning_rate = is_qat ? recipe.qat.learning_rate : recipe.train.learning_rate;
  std::uint64_t number = kLearningSteps;
  const auto run = [&] {
    const data::Batch& batch = batches[number % batches.size()];
    const train::TrainStep::Result done = step.run(batch.examples, batch.labels, learning_rate, number++);
    result.saved_activation_bytes = static_cast<std::int64_t>(done.saved_bytes);
  };
  const auto begin_profile = [&] {
    if (options.profile) {
      step.set_profiler(&result.profile.emplace());
    }
  };
  time_runs(result, options.runs, reporter, run, begin_profile);
  result.arena_bytes = static_cast<std::int64_t>(step.arena().peak_bytes());
  return result;
}

}  // namespace detent::recipes
