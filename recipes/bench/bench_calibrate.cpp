#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "detent/evaluation/evaluate.h"
#include "detent/quant/passes/prepare.h"
#include "detent/recipes/bench/bench.h"
#include "detent/recipes/bench/bench_work.h"
#include "detent/recipes/bench/turns.h"

namespace detent::recipes {
namespace {

using Clock = std::chrono::steady_clock;

// The first is what the others are compared with.
const std::vector<std::string> kRules{"min-max", "percentile 99.9", "histogram", "mse", "kl"};
constexpr std::int64_t kDefaultRuns = 20;

// A graph that calibrates by one rule, and how long its passes took.
struct Calibrated {
  nn::Graph prepared;
  Arena arena = {};
  std::vector<double> seconds = {};
  std::vector<double> cpu_seconds = {};
};

nn::Graph prepared_with(const nn::Graph& graph, const Recipe& recipe, const std::string& rule) {
  Recipe with = recipe;
  with.quantize.activations.range = quant::parse_range(rule);
  for (train::LayerSettings& layer : with.quantize.layers) {
    layer.activations.reset();
  }
  return quant::prepare(graph, with.qconfig_mapping());
}

void pass(Calibrated& calibrated, const Tensor& images) {
  const auto start = Clock::now();
  const double cpu = process_cpu_seconds();
  {
    nn::Tape tape(&calibrated.arena, nn::Tape::Mode::Inference);
    nn::Context context{.tape = tape};
    calibrated.prepared.forward(context, tape.constant(images));
  }
  calibrated.seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  calibrated.cpu_seconds.push_back(process_cpu_seconds() - cpu);
}

}  // namespace

CalibrationBench bench_calibrate(const BenchOptions& options, evaluation::Reporter& reporter) {
  const Recipe recipe = load_recipe(options.model);
  const nn::Graph graph = float_graph_of(recipe, options.image);
  CalibrationBench bench{.model = options.model,
                         .batch = options.batch > 0 ? options.batch : evaluation::kEvaluationBatch,
                         .threads = options.threads,
                         .runs = options.runs > 0 ? options.runs : kDefaultRuns};
  const Tensor images =
      training_batches(1, bench.batch, graph.input_shape(), graph.output_shape().elements())[0].examples;
  std::vector<Calibrated> all;
  for (const std::string& rule : kRules) {
    all.push_back({.prepared = prepared_with(graph, recipe, rule)});
  }
  // Turn by turn, so that what else the machine does falls on all alike.
  for (std::int64_t run = -1; run < bench.runs; ++run) {
    for (Calibrated& calibrated : all) {
      if (reporter.should_stop()) {
        throw Interrupted();
      }
      pass(calibrated, images);
      if (run < 0) {
        calibrated.seconds.clear();  // to warm up
        calibrated.cpu_seconds.clear();
      }
    }
  }
  for (std::size_t i = 0; i < kRules.size(); ++i) {
    bench.rules.push_back({kRules[i], median(all[i].seconds), median(all[i].cpu_seconds)});
  }
  return bench;
}

double CalibrationBench::cost(std::size_t rule) const {
  return rules.at(rule).cpu_seconds / rules.at(0).cpu_seconds - 1.0;
}

nlohmann::json to_json(const CalibrationBench& bench) {
  nlohmann::json rules = nlohmann::json::array();
  for (std::size_t i = 0; i < bench.rules.size(); ++i) {
    rules.push_back({{"range", bench.rules[i].range},
                     {"median_ms", 1e3 * bench.rules[i].seconds},
                     {"cpu_ms", 1e3 * bench.rules[i].cpu_seconds},
                     {"cost", bench.cost(i)}});
  }
  return {{"what", "calibrate"},      {"model", bench.model}, {"batch", bench.batch},
          {"threads", bench.threads}, {"runs", bench.runs},   {"rules", std::move(rules)}};
}

std::string to_text(const CalibrationBench& bench) {
  std::string text = fmt::format("calibration pass of {}, batch {}, {} thread{}, {} runs\n", bench.model, bench.batch,
                                 bench.threads, bench.threads == 1 ? "" : "s", bench.runs);
  text += fmt::format("  {:<18}{:>12}{:>18}{:>16}\n", "range rule", "median", "processor time", "over min-max");
  for (std::size_t i = 0; i < bench.rules.size(); ++i) {
    text +=
        fmt::format("  {:<18}{:>9.4g} ms{:>15.4g} ms{:>16}\n", bench.rules[i].range, 1e3 * bench.rules[i].seconds,
                    1e3 * bench.rules[i].cpu_seconds, i == 0 ? "" : fmt::format("{:+.1f} %", 100.0 * bench.cost(i)));
  }
  return text;
}

}  // namespace detent::recipes
