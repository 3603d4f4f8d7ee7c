#include <fmt/format.h>

#include <algorithm>

#include "detent/report/html/charts/charts.h"
#include "detent/report/html/sections/sections.h"
#include "detent/report/html/text.h"

namespace detent::report::html {
namespace {

using Shown = std::string (*)(const Facts&, const Json&);

template <typename Text>
std::string shown(const std::optional<double>& value, Text text) {
  return value ? text(*value) : std::string();
}

std::string score(const Facts& facts, const std::optional<double>& accuracy) {
  return accuracy ? facts.score_text(*accuracy) : std::string();
}

std::string shown_time(const std::optional<double>& seconds) {
  return seconds && *seconds > 0.0 ? duration(*seconds) : std::string();
}

std::string verdict_cell(const Facts& facts, const Json&) {
  const bool is_safe = facts.verdict == Verdict::Safe;
  const bool is_bad = facts.verdict == Verdict::NotSafe;
  return fmt::format("<span class=\"{}\">{}{}</span>", is_bad ? "warn-text" : "",
                     is_safe  ? "\u2713 "
                     : is_bad ? "\u2715 "
                              : "",
                     headline(facts.verdict));
}

struct Row {
  const char* name;
  Shown cell;
};

const std::vector<Row>& rows() {
  static const std::vector<Row> kRows{
      {"Verdict", verdict_cell},
      {"Recipe", [](const Facts& facts, const Json&) { return escaped(facts.recipe); }},
      {"Data", [](const Facts& facts, const Json&) { return escaped(facts.dataset); }},
      {"Seed", [](const Facts&, const Json& metrics) { return escaped(text(metrics, "seed").value_or("")); }},
      {"Weights",
       [](const Facts&, const Json& metrics) { return escaped(text(metrics, "int8.weights").value_or("")); }},
      {"Method", [](const Facts&, const Json& metrics) { return escaped(text(metrics, "int8.method").value_or("")); }},
      {"Float", [](const Facts& facts, const Json&) { return score(facts, facts.accuracy_float); }},
      {"Fake-quantized",
       [](const Facts& facts, const Json& metrics) { return score(facts, number(metrics, "qat.test_accuracy")); }},
      {"int8", [](const Facts& facts, const Json&) { return score(facts, facts.accuracy_int8); }},
      {"Change (points, or R\u00b2)",
       [](const Facts& facts, const Json&) {
         const auto change = facts.difference();
         return change ? facts.difference_text(*change) : std::string();
       }},
      {"Predictions that flipped", [](const Facts& facts, const Json&) { return shown(facts.flips, count_text); }},
      {"Float file", [](const Facts& facts, const Json&) { return shown(facts.bytes_float, bytes_text); }},
      {"int8 file", [](const Facts& facts, const Json&) { return shown(facts.bytes_int8, bytes_text); }},
      {"Smaller", [](const Facts& facts, const Json&) { return shown(facts.smaller(), times); }},
      {"Float latency", [](const Facts& facts, const Json&) { return shown(facts.latency_float, milliseconds); }},
      {"int8 latency", [](const Facts& facts, const Json&) { return shown(facts.latency_int8, milliseconds); }},
      {"Faster", [](const Facts& facts, const Json&) { return shown(facts.faster(), times); }},
      {"Codes that differ", [](const Facts& facts, const Json&) { return shown(facts.codes_different, count_text); }},
      {"Float training",
       [](const Facts&, const Json& metrics) { return shown_time(number(metrics, "fp32.train_seconds")); }},
      {"QAT", [](const Facts&, const Json& metrics) { return shown_time(number(metrics, "qat.train_seconds")); }},
      {"Warnings", [](const Facts& facts, const Json&) { return std::to_string(facts.warnings.size()); }},
  };
  return kRows;
}

std::string side_by_side(const std::vector<Run>& runs) {
  std::vector<std::string> columns{""};
  std::vector<Facts> facts;
  for (const Run& run : runs) {
    columns.push_back(escaped(run.name));
    facts.push_back(facts_of(run.metrics));
  }
  Table table("Runs, side by side", columns);
  for (const Row& row : rows()) {
    std::vector<std::string> cells{row.name};
    bool has_any = false;
    for (std::size_t i = 0; i < runs.size(); ++i) {
      cells.push_back(row.cell(facts[i], runs[i].metrics));
      has_any = has_any || !cells.back().empty();
    }
    if (has_any) {
      table.add(cells);
    }
  }
  return section("runs", "What each run came to", "", table.html());
}

// Signal to noise by layer, of all layers in the order in which they are first met.
std::string layers_table(const std::vector<Run>& runs) {
  std::vector<std::string> names, columns{"Layer"};
  std::vector<std::map<std::string, std::string>> cells(runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    columns.push_back(escaped(runs[i].name));
    for (const Json& layer : list(runs[i].metrics, "layers.rows")) {
      const std::string name = text(layer, "name").value_or("");
      const auto snr = number(layer, "snr_db");
      cells[i][name] = snr ? fmt::format("{:.1f}\u00a0dB", *snr) : "equal";
      if (std::ranges::find(names, name) == names.end()) {
        names.push_back(name);
      }
    }
  }
  Table table("Signal to noise by layer: int8 against float", columns);
  for (const std::string& name : names) {
    std::vector<std::string> row{escaped(name)};
    for (const auto& of_run : cells) {
      const auto found = of_run.find(name);
      row.push_back(found == of_run.end() ? "" : found->second);
    }
    table.add(row);
  }
  return section("layers", "Layer by layer", "", table.empty() ? "" : table.html());
}

}  // namespace

std::string comparison_section(const std::vector<Run>& runs) {
  return side_by_side(runs) + training_section(runs) + layers_table(runs);
}

}  // namespace detent::report::html
