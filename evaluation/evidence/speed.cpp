#include "detent/evaluation/evidence/speed.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <numeric>

#include "detent/core/error.h"
#include "detent/core/philox.h"
#include "detent/core/threads/parallel.h"
#include "detent/runtime/plan.h"

namespace detent::evaluation {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kMostRuns = 100'000;
constexpr double kWarmUpShare = 0.1;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

Tensor random_batch(const Shape& shape, std::int64_t batch) {
  Tensor examples = Tensor::empty(shape.batched(batch), DType::F32);
  RandomStream random(1, "speed");
  for (float& value : examples.data<float>()) {
    value = random.uniform();
  }
  return examples;
}

/// The seconds of each run, in order.
std::vector<double> timed(const Runnable& work, double seconds) {
  const auto run = [&] {
    check_interruption();
    work.run();
  };
  run();  // makes what later runs find
  for (const auto begin = Clock::now(); seconds_since(begin) < kWarmUpShare * seconds;) {
    run();
  }
  std::vector<double> runs;
  const auto begin = Clock::now();
  for (std::int64_t i = 0; i < kFewestRuns || (i < kMostRuns && seconds_since(begin) < seconds); ++i) {
    const auto start = Clock::now();
    run();
    runs.push_back(seconds_since(start));
  }
  return runs;
}

Throughput throughput_of(std::int64_t batch, const std::vector<double>& seconds, std::int64_t memory_bytes) {
  const double all = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  return {.batch = batch,
          .examples_per_second = static_cast<double>(batch) * static_cast<double>(seconds.size()) / all,
          .memory_bytes = memory_bytes};
}

/// A graph with tensors of its own, and what its passes run in.
struct OwnGraph {
  nn::Graph graph;
  Arena arena = {};
  Tensor examples;

  void run() {
    nn::Tape tape(&arena, nn::Tape::Mode::Inference);
    nn::Context context{.tape = tape};
    graph.forward(context, tape.constant(examples));
  }
  std::int64_t bytes() const {
    std::int64_t all = static_cast<std::int64_t>(arena.peak_bytes());
    for (const nn::Graph::Node& node : graph.nodes()) {
      for (const nn::Slot& slot : node.owns_module() ? node.module->slots() : std::vector<nn::Slot>()) {
        all += slot.tensor->defined() ? static_cast<std::int64_t>(slot.tensor->bytes()) : 0;
      }
    }
    return all;
  }
};

}  // namespace

Latency latency_of(std::vector<double> seconds) {
  check(!seconds.empty(), "latency: expected at least one run");
  std::ranges::sort(seconds);
  const auto percentile = [&](std::size_t percent) { return 1e3 * seconds[percent * seconds.size() / 100]; };
  return {.p50 = percentile(50),
          .p90 = percentile(90),
          .p99 = percentile(99),
          .max = 1e3 * seconds.back(),
          .runs = static_cast<std::int64_t>(seconds.size())};
}

MakeRunnable runnable(const runtime::Model& model) {
  return [model](std::int64_t batch) -> Runnable {
    const auto plan = std::make_shared<runtime::Plan>(model, batch);
    const Tensor examples = random_batch(model.inputs.at(0).type.shape, batch);
    return {.run = [plan, examples] { plan->run(examples); },
            .memory_bytes = [plan] { return static_cast<std::int64_t>(plan->memory_bytes()); }};
  };
}

MakeRunnable runnable(const nn::Graph& graph, const nn::ModuleKinds& kinds) {
  return [&graph, kinds](std::int64_t batch) -> Runnable {
    const std::shared_ptr<OwnGraph> own(
        new OwnGraph{.graph = graph.clone(kinds), .examples = random_batch(graph.input_shape(), batch)});
    return {.run = [own] { own->run(); }, .memory_bytes = [own] { return own->bytes(); }};
  };
}

Speed measure_speed(const MakeRunnable& make, const SpeedOptions& options) {
  Speed speed;
  const Runnable one = make(1);
  const std::vector<double> seconds = timed(one, options.latency_seconds);
  speed.latency = latency_of(seconds);
  speed.peak_memory_bytes = one.memory_bytes();
  speed.throughput.push_back(throughput_of(1, seconds, speed.peak_memory_bytes));
  for (const std::int64_t batch : options.batches) {
    const Runnable many = make(batch);
    const std::vector<double> runs = timed(many, options.batch_seconds);
    speed.throughput.push_back(throughput_of(batch, runs, many.memory_bytes()));
  }
  return speed;
}

}  // namespace detent::evaluation
