#include "detent/report/profile_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/report/metrics_table.h"

namespace detent::report {
namespace {

using Phase = Profiler::Phase;

double share_of(const Profiler::Row& row, const Profiler& profiler) {
  const double all = profiler.total_seconds();
  return all > 0.0 ? row.total_seconds() / all : 0.0;
}

std::string cell(double seconds, std::int64_t steps) {
  return seconds > 0.0 ? fmt::format("{:.1f}", seconds * 1e6 / static_cast<double>(steps)) : "-";
}

}  // namespace

std::string profile_table(const Profiler& profiler, std::int64_t steps) {
  Profiler::Row total{.module = "total"};
  std::size_t width = 6;
  for (const Profiler::Row& row : profiler.rows()) {
    for (std::size_t phase = 0; phase < Profiler::kPhases; ++phase) {
      total.seconds[phase] += row.seconds[phase];
    }
    total.saved_bytes += row.saved_bytes;
    width = std::max(width, row.module.size());
  }
  const std::string rule = std::string(width + 78, '-') + "\n";
  std::string text = fmt::format("{:<{}}{:>12}{:>12}{:>12}{:>12}{:>8}{:>8}{:>14}\n", "us a step", width, "data",
                                 "forward", "backward", "optimizer", "all", "share", "bytes saved");
  text += rule;
  const auto add_row = [&](const Profiler::Row& row) {
    text += fmt::format("{:<{}}{:>12}{:>12}{:>12}{:>12}{:>8}{:>7.1f}%{:>14}\n", row.module, width,
                        cell(row.seconds_of(Phase::Data), steps), cell(row.seconds_of(Phase::Forward), steps),
                        cell(row.seconds_of(Phase::Backward), steps), cell(row.seconds_of(Phase::Optimizer), steps),
                        cell(row.total_seconds(), steps), 100.0 * share_of(row, profiler),
                        row.saved_bytes == 0 ? "-" : with_separators(row.saved_bytes));
  };
  std::ranges::for_each(profiler.rows(), add_row);
  text += rule;
  add_row(total);
  return text;
}

nlohmann::json profile_json(const Profiler& profiler, std::int64_t steps) {
  nlohmann::json rows = nlohmann::json::array();
  const auto ms = [&](double seconds) { return seconds * 1e3 / static_cast<double>(steps); };
  for (const Profiler::Row& row : profiler.rows()) {
    rows.push_back({{"module", row.module},
                    {"data_ms", ms(row.seconds_of(Phase::Data))},
                    {"forward_ms", ms(row.seconds_of(Phase::Forward))},
                    {"backward_ms", ms(row.seconds_of(Phase::Backward))},
                    {"optimizer_ms", ms(row.seconds_of(Phase::Optimizer))},
                    {"share", share_of(row, profiler)},
                    {"saved_bytes", row.saved_bytes}});
  }
  return rows;
}

}  // namespace detent::report
