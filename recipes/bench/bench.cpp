#include "detent/recipes/bench/bench.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "detent/core/processor/units.h"
#include "detent/evaluation/metrics.h"
#include "detent/report/profile_table.h"

namespace detent::recipes {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kWarmUpRuns = 3;
constexpr double kWarmUpSeconds = 0.2;
constexpr std::int64_t kFewestRuns = 20;
constexpr std::int64_t kMostRuns = 20'000;
constexpr double kSeconds = 2.0;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::int64_t peak_resident_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

std::string mebibytes(std::int64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1024.0 * 1024.0));
}

}  // namespace

double process_cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double BenchResult::percentile(double share) const {
  const auto place = static_cast<std::size_t>(share * static_cast<double>(seconds.size()));
  return seconds.at(std::min(place, seconds.size() - 1));
}

void time_runs(BenchResult& result, std::int64_t runs, evaluation::Reporter& reporter,
               const std::function<void()>& work, const std::function<void()>& when_warm) {
  const auto run = [&] {
    if (reporter.should_stop()) {
      throw Interrupted();
    }
    check_interruption();
    work();
  };
  const auto warm_up = Clock::now();
  for (std::int64_t i = 0; i < kWarmUpRuns || (runs == 0 && seconds_since(warm_up) < kWarmUpSeconds); ++i) {
    run();
  }
  when_warm();
  const std::int64_t fewest = runs > 0 ? runs : kFewestRuns;
  const std::int64_t most = runs > 0 ? runs : kMostRuns;
  result.seconds.reserve(static_cast<std::size_t>(most));
  const double cpu = process_cpu_seconds();
  const auto begin = Clock::now();
  for (std::int64_t i = 0; i < fewest || (i < most && seconds_since(begin) < kSeconds); ++i) {
    const auto start = Clock::now();
    run();
    result.seconds.push_back(seconds_since(start));
  }
  result.cpu_seconds = (process_cpu_seconds() - cpu) / static_cast<double>(result.seconds.size());
  result.peak_memory_bytes = peak_resident_bytes();
  std::ranges::sort(result.seconds);
}

nlohmann::json to_json(const BenchResult& result) {
  const double median = result.percentile(0.5);
  nlohmann::json json{
      {"what", result.what},
      {"model", result.model},
      {"precision", result.precision},
      {"batch", result.batch},
      {"threads", result.threads},
      {"runs", result.seconds.size()},
      {"median_ms", 1e3 * median},
      {"p90_ms", 1e3 * result.percentile(0.9)},
      {"p99_ms", 1e3 * result.percentile(0.99)},
      {"cpu_ms", 1e3 * result.cpu_seconds},
      {"examples_per_second", static_cast<double>(result.batch) / median},
      {"share_of_peak", result.share_of_peak()},
      {"ideal_ms", 1e3 * result.ideal_seconds},
      {"processor", class_of(processor_units())},
      {"peak", {{"fp32", result.peak.f32 / 1e9}, {"bf16", result.peak.bf16 / 1e9}, {"int8", result.peak.int8 / 1e9}}},
      {"peak_memory_bytes", result.peak_memory_bytes}};
  if (result.arena_bytes) {
    json["arena_bytes"] = *result.arena_bytes;
  }
  if (result.saved_activation_bytes) {
    json["saved_activation_bytes"] = *result.saved_activation_bytes;
  }
  if (result.profile) {
    json["profile"] = report::profile_json(*result.profile, static_cast<std::int64_t>(result.seconds.size()));
  }
  return json;
}

std::string to_text(const BenchResult& result) {
  const double median = result.percentile(0.5);
  std::string text = fmt::format("{} of {} in {}, batch {}, {} thread{}, {} runs\n",
                                 result.what == "step" ? "training step" : "inference", result.model, result.precision,
                                 result.batch, result.threads, result.threads == 1 ? "" : "s", result.seconds.size());
  const auto add = [&](const std::string& name, const std::string& value) {
    text += fmt::format("  {:<18}{}\n", name, value);
  };
  add("median", fmt::format("{:.4g} ms  (90 %: {:.4g}, 99 %: {:.4g}; processor time {:.4g})", 1e3 * median,
                            1e3 * result.percentile(0.9), 1e3 * result.percentile(0.99), 1e3 * result.cpu_seconds));
  add("examples", fmt::format("{:.0f} a second", static_cast<double>(result.batch) / median));
  add("share of peak", fmt::format("{:.1f} %  (the products at the peak of their types: {:.4g} ms)",
                                   100.0 * result.share_of_peak(), 1e3 * result.ideal_seconds));
  add("processor", std::string(class_of(processor_units())));
  add("peak", fmt::format("{:.0f} fp32, {:.0f} bf16, {:.0f} int8, in 10^9 operations a second", result.peak.f32 / 1e9,
                          result.peak.bf16 / 1e9, result.peak.int8 / 1e9));
  add("memory", mebibytes(result.peak_memory_bytes) + " of the process at most" +
                    (result.arena_bytes ? ", " + mebibytes(*result.arena_bytes) + " of a step" : ""));
  if (result.saved_activation_bytes) {
    add("saved activations", mebibytes(*result.saved_activation_bytes) + " from forward to backward");
  }
  if (result.profile) {
    text += "\n" + report::profile_table(*result.profile, static_cast<std::int64_t>(result.seconds.size()));
  }
  return text;
}

}  // namespace detent::recipes
