#include "detent/report/ladder_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "detent/report/metrics_table.h"
#include "detent/report/reproduction_table.h"

namespace detent::report {
namespace {

using evaluation::Ladder;
using evaluation::Rung;
using Cells = std::vector<std::string>;

std::string size_text(std::int64_t bytes, std::int64_t of_float) {
  return fmt::format("{:.1f} KiB ({:.3f})", static_cast<double>(bytes) / 1024.0,
                     static_cast<double>(bytes) / static_cast<double>(of_float));
}

Cells header_of(const Ladder& ladder) {
  Cells cells{"rung", "accuracy", "points", "changed", "file (of f32)", "memory (of f32)"};
  for (const evaluation::BatchLatency& latency : ladder.rungs[0].latencies) {
    cells.push_back(fmt::format("batch {} (of f32)", latency.batch));
  }
  cells.emplace_back("codes that differ");
  return cells;
}

Cells cells_of(const Rung& rung, const Rung& in_float) {
  const evaluation::ModelRun& run = rung.run;
  Cells cells{rung.name,
              fmt::format("{:.2f} %", 100.0 * run.accuracy()),
              rung.is_float ? "-" : fmt::format("{:+.2f}", 100.0 * (run.accuracy() - in_float.run.accuracy())),
              rung.is_float ? "-" : with_separators(run.against_float.changed),
              size_text(run.model_bytes, in_float.run.model_bytes),
              size_text(rung.parameter_bytes, in_float.parameter_bytes)};
  for (const evaluation::BatchLatency& latency : rung.latencies) {
    cells.push_back(fmt::format("{:.4f} ms ({:.2f})", 1e3 * latency.seconds, latency.of_float));
  }
  cells.push_back(run.codes_compared == 0 ? "-"
                                          : fmt::format("{} of {}", with_separators(run.codes_mismatched),
                                                        with_separators(run.codes_compared)));
  return cells;
}

/// The first column to the left, numbers to the right.
std::string aligned(const std::vector<Cells>& rows) {
  std::vector<std::size_t> widths(rows[0].size(), 3);
  for (const Cells& row : rows) {
    std::ranges::transform(row, widths, widths.begin(),
                           [](const std::string& cell, std::size_t width) { return std::max(cell.size(), width); });
  }
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t c = 0; c < widths.size(); ++c) {
      text +=
          c == 0 ? fmt::format("| {:<{}} |", rows[r][c], widths[c]) : fmt::format(" {:>{}} |", rows[r][c], widths[c]);
    }
    text += '\n';
    if (r == 0) {
      for (std::size_t c = 0; c < widths.size(); ++c) {
        text += (c == 0 ? "| " : " ") + std::string(widths[c] - 1, '-') + (c == 0 ? "- |" : ": |");
      }
      text += '\n';
    }
  }
  return text;
}

}  // namespace

std::string to_markdown(const Ladder& ladder) {
  const Rung& in_float = ladder.rungs[0];
  std::string text = fmt::format("# {}: {}\n\n", ladder.name, ladder.description);
  text += fmt::format("{}; {} test images; seed {}; times on {} thread{}, {}.\n\n", ladder.dataset_description,
                      with_separators(in_float.run.images), in_float.run.seed, ladder.threads,
                      ladder.threads == 1 ? "" : "s", ladder.processor);
  std::vector<Cells> rows{header_of(ladder)};
  for (const Rung& rung : ladder.rungs) {
    rows.push_back(cells_of(rung, in_float));
  }
  text += aligned(rows);
  text += "\nHow:\n\n";
  for (const Rung& rung : ladder.rungs) {
    text += fmt::format("- {}: {}\n", rung.name, rung.how);
  }
  for (const std::string& failure : ladder.failures()) {
    text += "\nFAILED: " + failure + "\n";
  }
  return text;
}

nlohmann::json to_json(const Ladder& ladder) {
  nlohmann::json rungs = nlohmann::json::array();
  for (const Rung& rung : ladder.rungs) {
    nlohmann::json json = to_json(rung.run, rung.is_float);
    json["name"] = rung.name;
    json["how"] = rung.how;
    json["is_float"] = rung.is_float;
    json["parameter_bytes"] = rung.parameter_bytes;
    json["latencies"] = nlohmann::json::array();
    for (const evaluation::BatchLatency& latency : rung.latencies) {
      json["latencies"].push_back(
          {{"batch", latency.batch}, {"ms", 1e3 * latency.seconds}, {"of_float", latency.of_float}});
    }
    rungs.push_back(std::move(json));
  }
  return {{"name", ladder.name},
          {"description", ladder.description},
          {"dataset_description", ladder.dataset_description},
          {"threads", ladder.threads},
          {"processor", ladder.processor},
          {"rungs", std::move(rungs)},
          {"failures", ladder.failures()}};
}

}  // namespace detent::report
