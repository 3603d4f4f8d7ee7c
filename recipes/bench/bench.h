#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "detent/core/profiler.h"
#include "detent/core/shape.h"
#include "detent/evaluation/progress.h"
#include "detent/kernels/product/peak.h"

/// `detent bench`: how long a training step or an inference takes, and how far that is from what the processor could
/// do. The models are those of recipes and files; the data is drawn or random.
namespace detent::recipes {

struct BenchOptions {
  std::string model = {};           ///< a recipe, by name or file; for inference also a model file (*.h5)
  std::string precision = {};       ///< a step: "fp32", "bf16", "fp16", "qat"; inference: "fp32", "int8"
  std::optional<Shape> image = {};  ///< a recipe's input [H, W, C]; else that of its data
  std::int64_t batch = 0;           ///< 0: the recipe's; 128 for a model file
  int threads = 1;                  ///< of the pool that the caller runs in
  std::int64_t runs = 0;            ///< how many are timed; 0: as many as take two seconds, but 20 to 20,000
  bool profile = false;             ///< of a step: measure modules and phases, too
};

struct BenchResult {
  std::string what = {};  ///< "step", "infer"
  std::string model = {};
  std::string precision = {};
  std::int64_t batch = 0;
  int threads = 0;
  std::vector<double> seconds = {};  ///< of each timed run, sorted; wall-clock
  double cpu_seconds = 0.0;          ///< of the process in one run, all threads together, the mean
  kernels::Peak peak = {};           ///< measured just before, on as many threads
  /// What one run would take if all its products ran at the peak of their type: multiply-adds times two, divided by
  /// the peak. A step has the forward products, the same again for the gradients of the weights, and, except where
  /// nothing in front of a layer has weights, for the gradients of its input. The types: those of the precision (fp16
  /// is computed in f32); in "qat" the forward products of quantized layers are int8 and the backward ones what [qat]
  /// backward says.
  double ideal_seconds = 0.0;
  /// Largest resident memory of the process so far: the program and its libraries, weights, packed weights, memory of a
  /// step.
  std::int64_t peak_memory_bytes = 0;
  std::optional<std::int64_t> arena_bytes = {};  ///< of it, what one step holds at most: activations, gradients
  std::optional<std::int64_t> saved_activation_bytes = {};  ///< train::TrainStep::Result::saved_bytes
  std::optional<Profiler> profile = {};

  /// The time that `share` of the runs took at most: percentile(0.5) is the median (the upper of the two in the
  /// middle).
  double percentile(double share) const;
  double share_of_peak() const { return ideal_seconds / percentile(0.5); }
};

/// Training steps as `detent run` makes them: forward, loss, backward, the recipe's optimizer. "qat" is a step of
/// quantization-aware training that still observes. REQUIRES: called in the pool. Throws Error for an unknown model or
/// precision, and Interrupted.
BenchResult bench_step(const BenchOptions& options, evaluation::Reporter& reporter);

/// Inference with runtime::Plan, from f32 images to f32 logits. An int8 model is made from a float one, where it
/// is no int8 model yet, with ranges observed on the random data. Throws as bench_step.
BenchResult bench_infer(const BenchOptions& options, evaluation::Reporter& reporter);

/// How long a calibration pass takes with each range rule of activations.
struct CalibrationBench {
  std::string model = {};
  std::int64_t batch = 0;
  int threads = 0;
  std::int64_t runs = 0;
  struct Rule {
    std::string range;   ///< "percentile 99.9"
    double seconds;      ///< the median pass over the batch, by the clock ...
    double cpu_seconds;  ///< ... and in processor time, all threads together
  };
  std::vector<Rule> rules = {};  ///< the first is min-max, which sees no values
  /// How much more processor time a pass takes than with min-max: 0.1 for a tenth.
  double cost(std::size_t rule) const;
};
/// Passes of a calibrating graph of a recipe over one batch (by default that of `detent run`), with min-max and with
/// the rules that see values, turn by turn. Throws as bench_step.
CalibrationBench bench_calibrate(const BenchOptions& options, evaluation::Reporter& reporter);
/// what, model, batch, threads, runs, rules [{range, median_ms, cpu_ms, cost}].
nlohmann::json to_json(const CalibrationBench& bench);
/// The same for people.
std::string to_text(const CalibrationBench& bench);

/// Of the process so far, all threads together.
double process_cpu_seconds();

/// Runs `work` to warm up (3 times, and 0.2 s unless `runs` are given), calls `when_warm`, then times `work`: fills
/// seconds, cpu_seconds, peak_memory_bytes.
void time_runs(
    BenchResult& result, std::int64_t runs, evaluation::Reporter& reporter, const std::function<void()>& work,
    const std::function<void()>& when_warm = [] {});

/// what, model, precision, batch, threads, runs, median_ms, p90_ms, p99_ms, cpu_ms, examples_per_second, share_of_peak,
/// ideal_ms, processor (class_of its units), peak {fp32, bf16, int8} in 10^9 operations a second, peak_memory_bytes; of
/// a step saved_activation_bytes, arena_bytes, and with a profile that of profile_table.h.
nlohmann::json to_json(const BenchResult& result);
/// The same for people.
std::string to_text(const BenchResult& result);

}  // namespace detent::recipes
