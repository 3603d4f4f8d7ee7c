#include "nn/fuse_relu.h"
#include "quant/prepare.h"
#include "recipes/bench.h"
#include "recipes/bench_work.h"
#include "recipes/step.h"

namespace detent::recipes {
namespace {

constexpr double kLearningRate = 1e-4;

}  // namespace

BenchResult bench_step(const BenchOptions& options, Reporter& reporter) {
  const bool is_qat = options.precision == "qat";
  check(is_qat || options.precision == "fp32" || options.precision == "bf16" || options.precision == "fp16",
        "bench step: --precision: expected fp32, bf16, fp16 or qat, got '", options.precision, "'");
  std::vector<std::string> overrides;
  if (!is_qat) {
    overrides.push_back("train.precision=" + options.precision);
  }
  const Recipe recipe = load_recipe(options.model, overrides);
  nn::Graph graph = float_graph_of(recipe);
  graph = is_qat ? quant::prepare_qat(graph, recipe.qconfig_mapping()) : nn::fuse_relu(graph);

  BenchResult result{.what = "step",
                     .model = options.model,
                     .precision = options.precision,
                     .batch = options.batch > 0 ? options.batch : recipe.train.batch,
                     .threads = options.threads,
                     .peak = kernels::measure_peak(options.threads)};
  result.ideal_seconds =
      static_cast<double>(result.batch) *
      ideal_step_seconds(graph, result.peak, {.product = recipe.train.precision, .qat_backward = recipe.qat.backward});

  const Tensor images = random_images(result.batch, graph.input_shape());
  const Tensor labels = random_labels(result.batch, graph.output_shape().elements());
  TrainStep step(graph, recipe.train, 1);
  std::uint64_t number = 0;
  const auto run = [&] {
    const TrainStep::Result done = step.run(images, labels, kLearningRate, number++);
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
