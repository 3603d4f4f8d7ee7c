#include "detent/report/reproduction_table.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "detent/report/metrics_table.h"

namespace detent::report {
namespace {

using evaluation::Interval;
using evaluation::ModelRun;
using evaluation::ReproducedRow;

constexpr const char* kNone = "-";

std::string as_percent(double share) { return fmt::format("{:.2f}", 100.0 * share); }
std::string as_percent(const Interval& interval) {
  return as_percent(interval.low) + " to " + as_percent(interval.high);
}

/// The probability that a fair coin is so uneven.
std::string p_text(double p) { return p < 0.001 ? "< 0.001" : fmt::format("{:.3f}", p); }

Interval test_set_interval(const ReproducedRow& row, double mean) {
  return evaluation::wilson_interval(mean, row.runs[0].images);
}

/// What each run says, joined.
template <typename Text>
std::string each(const ReproducedRow& row, Text text) {
  std::string joined;
  for (const ModelRun& run : row.runs) {
    joined += (joined.empty() ? "" : " / ") + text(run);
  }
  return joined;
}

std::string table_row(const ReproducedRow& row, bool is_comparable) {
  const std::vector<double> accuracies = row.accuracies();
  const evaluation::Spread ours = evaluation::spread_of(accuracies);
  const std::string spread = accuracies.size() > 1 ? fmt::format(" ± {:.2f}", 100.0 * ours.deviation) : "";
  const bool is_float = row.is_float;
  return fmt::format(
      "| {} | {}{} | {} | {} | {} | {} | {} | {} |\n", row.name, as_percent(ours.mean), spread,
      as_percent(test_set_interval(row, ours.mean)),
      accuracies.size() > 1 ? as_percent(evaluation::student_interval(accuracies)) : kNone,
      row.published ? as_percent(*row.published) : kNone,
      row.published && is_comparable ? fmt::format("{:+.2f}", 100.0 * (ours.mean - *row.published)) : kNone,
      is_float ? kNone : each(row, [](const ModelRun& run) { return fmt::format("{}", run.against_float.changed); }),
      is_float ? kNone : each(row, [](const ModelRun& run) { return p_text(run.against_float.p_value); }));
}

std::string run_row(const ReproducedRow& row, const ModelRun& run) {
  const evaluation::PairedTest& test = run.against_float;
  const std::string paired =
      row.is_float ? fmt::format("{0} | {0} | {0} | {0}", kNone)
                   : fmt::format("{} | {} | {} | {} of {}", test.lost, test.won, p_text(test.p_value),
                                 with_separators(run.codes_mismatched), with_separators(run.codes_compared));
  return fmt::format("| {} | {} | {} | {} | {:.0f} | {:.0f} |\n", row.name, run.seed, as_percent(run.accuracy()),
                     paired, static_cast<double>(run.model_bytes) / 1024.0, run.seconds);
}

nlohmann::json to_json(const Interval& interval) { return {interval.low, interval.high}; }

nlohmann::json to_json(const ReproducedRow& row) {
  const std::vector<double> accuracies = row.accuracies();
  const evaluation::Spread ours = evaluation::spread_of(accuracies);
  nlohmann::json json{{"name", row.name},
                      {"how", row.how},
                      {"is_float", row.is_float},
                      {"published", row.published ? nlohmann::json(*row.published) : nlohmann::json(nullptr)},
                      {"source", row.source},
                      {"mean", ours.mean},
                      {"deviation", ours.deviation},
                      {"min", ours.min},
                      {"max", ours.max},
                      {"test_set_interval", to_json(test_set_interval(row, ours.mean))},
                      {"seeds_interval", nullptr},
                      {"runs", nlohmann::json::array()}};
  if (accuracies.size() > 1) {
    json["seeds_interval"] = to_json(evaluation::student_interval(accuracies));
  }
  for (const ModelRun& run : row.runs) {
    json["runs"].push_back(report::to_json(run, row.is_float));
  }
  return json;
}

}  // namespace

std::string to_markdown(const evaluation::Reproduction& reproduction) {
  const std::size_t seeds = reproduction.rows[0].runs.size();
  std::string text = fmt::format("# {}: {}\n\n", reproduction.name, reproduction.description);
  text += reproduction.note.empty() ? "" : reproduction.note + "\n\n";
  text += fmt::format("{}; {} test images; {} {}{}. Accuracies in %, of the last epoch: mean ± deviation.\n\n",
                      reproduction.dataset_description, with_separators(reproduction.rows[0].runs[0].images), seeds,
                      seeds == 1 ? "seed" : "seeds",
                      reproduction.epochs ? fmt::format(", {} epochs instead of the table's own", *reproduction.epochs)
                                          : std::string());
  if (!reproduction.published_dataset.empty()) {
    text += "Published figures are on " + reproduction.published_dataset + ": these data are others.\n\n";
  }
  text +=
      "| bits | ours | 95 % by test set | 95 % by seeds | theirs | difference | predictions changed | McNemar's p |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const ReproducedRow& row : reproduction.rows) {
    text += table_row(row, reproduction.published_dataset.empty());
  }
  text +=
      "\nChanged predictions and McNemar's exact test are against our float model of the same seed, on the same test "
      "images, by seed.\n\n"
      "| bits | seed | accuracy | lost | won | p | codes that differ | KiB | seconds |\n"
      "| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const ReproducedRow& row : reproduction.rows) {
    for (const ModelRun& run : row.runs) {
      text += run_row(row, run);
    }
  }
  text += "\nHow, and whose the published figures are:\n\n";
  for (const ReproducedRow& row : reproduction.rows) {
    text += fmt::format("- {}: {}{}{}\n", row.name, row.how, row.source.empty() ? "" : "; ", row.source);
  }
  for (const std::string& failure : reproduction.failures()) {
    text += "\nFAILED: " + failure + "\n";
  }
  return text;
}

nlohmann::json to_json(const evaluation::ModelRun& run, bool is_float) {
  nlohmann::json json{{"seed", run.seed},
                      {"correct", run.correct},
                      {"images", run.images},
                      {"test_accuracy", run.accuracy()},
                      {"model_bytes", run.model_bytes},
                      {"seconds", run.seconds},
                      {"codes_compared", nullptr},
                      {"codes_mismatched", nullptr},
                      {"predictions_changed", nullptr},
                      {"lost", nullptr},
                      {"won", nullptr},
                      {"p_value", nullptr},
                      {"failures", run.failures}};
  if (!is_float) {
    json["codes_compared"] = run.codes_compared;
    json["codes_mismatched"] = run.codes_mismatched;
    json["predictions_changed"] = run.against_float.changed;
    json["lost"] = run.against_float.lost;
    json["won"] = run.against_float.won;
    json["p_value"] = run.against_float.p_value;
  }
  return json;
}

nlohmann::json to_json(const evaluation::Reproduction& reproduction) {
  nlohmann::json json{
      {"name", reproduction.name},
      {"description", reproduction.description},
      {"note", reproduction.note},
      {"dataset_description", reproduction.dataset_description},
      {"published_dataset", reproduction.published_dataset.empty() ? nlohmann::json(nullptr)
                                                                   : nlohmann::json(reproduction.published_dataset)},
      {"epochs", reproduction.epochs ? nlohmann::json(*reproduction.epochs) : nlohmann::json(nullptr)},
      {"rows", nlohmann::json::array()},
      {"failures", reproduction.failures()}};
  for (const ReproducedRow& row : reproduction.rows) {
    json["rows"].push_back(to_json(row));
  }
  return json;
}

}  // namespace detent::report
