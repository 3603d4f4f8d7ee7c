#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "detent/nn/graph.h"
#include "detent/runtime/model.h"

/// How fast a model runs, and what memory it takes.
namespace detent::evaluation {

/// Of runs of one example, by the clock, in milliseconds. A percentile p of n sorted runs is the one at place
/// floor(p n): p50 is the upper of two middle ones.
struct Latency {
  double p50 = 0.0, p90 = 0.0, p99 = 0.0, max = 0.0;
  std::int64_t runs = 0;
};
/// REQUIRES: at least one run.
Latency latency_of(std::vector<double> seconds);

struct Throughput {
  std::int64_t batch = 0;
  double examples_per_second = 0.0;  ///< runs * batch / the time of all runs
  std::int64_t memory_bytes = 0;     ///< that the model takes for batches of this size
};

struct Speed {
  Latency latency = {};
  std::vector<Throughput> throughput = {};  ///< of batches of 1, and SpeedOptions::batches
  /// What one example takes: of a plan, its packed weights and the buffers between layers; of a graph, its tensors and
  /// what its forward pass holds at most.
  std::int64_t peak_memory_bytes = 0;
};

/// A model made ready for batches of one size.
struct Runnable {
  std::function<void()> run = {};
  std::function<std::int64_t()> memory_bytes = {};  ///< after a run
};
using MakeRunnable = std::function<Runnable(std::int64_t batch)>;
/// A plan, or the forward pass of a graph in inference, on random numbers from [0, 1). REQUIRES: the graph lives
/// longer.
MakeRunnable runnable(const runtime::Model& model);
MakeRunnable runnable(const nn::Graph& graph, const nn::ModuleKinds& kinds);

struct SpeedOptions {
  /// How long runs of one example are timed, and those of each batch; at least kFewestRuns each. A tenth of it before
  /// that, untimed, warms up.
  double latency_seconds = 0.05;
  double batch_seconds = 0.025;
  std::vector<std::int64_t> batches = {16, 128};
};
inline constexpr std::int64_t kFewestRuns = 3;

/// REQUIRES: called in the pool whose threads are to run it.
Speed measure_speed(const MakeRunnable& make, const SpeedOptions& options = {});

}  // namespace detent::evaluation
