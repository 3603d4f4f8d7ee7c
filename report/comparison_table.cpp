#include "detent/report/comparison_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "detent/report/metrics_table.h"
#include "detent/report/targets/score_text.h"

namespace detent::report {
namespace {

std::string names(const std::vector<std::string>& list) {
  std::string text;
  for (const std::string& name : list) {
    text += (text.empty() ? "" : " ") + name;
  }
  return text;
}

std::string range_text(const MinMax& range) { return fmt::format("{:.4g} .. {:.4g}", range.min, range.max); }

}  // namespace

std::string to_text(const evaluation::Comparison& comparison) {
  std::size_t width = 5;
  for (const evaluation::LayerDifference& layer : comparison.layers) {
    width = std::max(width, layer.name.size());
  }
  std::string text = fmt::format("{:<{}}{:>9}{:>11}{:>11}{:>10}{:>8}{:>11}{:>22}{:>22}\n", "layer", width, "types",
                                 "mean diff", "largest", "cosine", "SNR dB", "saturated", "range of A", "range of B");
  text += std::string(width + 104, '-') + "\n";
  for (const evaluation::LayerDifference& layer : comparison.layers) {
    text += fmt::format("{:<{}}{:>9}{:>11.3g}{:>11.3g}{:>10.6f}{:>8}{:>10.3f}%{:>22}{:>22}\n", layer.name, width,
                        layer.type_a + " " + layer.type_b, layer.mean, layer.largest, layer.cosine,
                        std::isinf(layer.snr) ? std::string("equal") : fmt::format("{:.1f}", layer.snr),
                        100.0 * layer.saturated, range_text(layer.range_a), range_text(layer.range_b));
  }
  if (!comparison.only_a.empty()) {
    text += "only in A: " + names(comparison.only_a) + "\n";
  }
  if (!comparison.only_b.empty()) {
    text += "only in B: " + names(comparison.only_b) + "\n";
  }
  const evaluation::LayerDifference* const first = evaluation::first_below(comparison);
  text += first == nullptr ? fmt::format("no layer has less than {} dB of signal to noise\n", evaluation::kAgreementDb)
                           : fmt::format("they part at {}: {:.1f} dB of signal to noise, the first layer below {} dB\n",
                                         first->name, first->snr, evaluation::kAgreementDb);
  if (comparison.score_a.targets == data::TargetKind::kValues) {
    return text + fmt::format("{} examples: R2 of A {}, of B {}\n", with_separators(comparison.images),
                              score_cell(comparison.score_a), score_cell(comparison.score_b));
  }
  return text + fmt::format("{} of {} predictions differ; right: A {}, B {}\n",
                            with_separators(comparison.predictions_changed), with_separators(comparison.images),
                            with_separators(comparison.score_a.correct), with_separators(comparison.score_b.correct));
}

nlohmann::json to_json(const evaluation::Comparison& comparison) {
  nlohmann::json layers = nlohmann::json::array();
  for (const evaluation::LayerDifference& layer : comparison.layers) {
    nlohmann::json row{{"name", layer.name},
                       {"types", {layer.type_a, layer.type_b}},
                       {"values", layer.values},
                       {"mean_difference", layer.mean},
                       {"largest_difference", layer.largest},
                       {"cosine", layer.cosine},
                       {"snr_db", nullptr},
                       {"saturated", layer.saturated},
                       {"range_a", {layer.range_a.min, layer.range_a.max}},
                       {"range_b", {layer.range_b.min, layer.range_b.max}}};
    if (std::isfinite(layer.snr)) {
      row["snr_db"] = layer.snr;
    }
    layers.push_back(std::move(row));
  }
  const evaluation::LayerDifference* const first = evaluation::first_below(comparison);
  nlohmann::json result{{"layers", std::move(layers)},
                        {"only_a", comparison.only_a},
                        {"only_b", comparison.only_b},
                        {"first_below_20_db", first == nullptr ? nlohmann::json() : nlohmann::json(first->name)},
                        {"images", comparison.images},
                        {"targets", std::string(data::name_of(comparison.score_a.targets))}};
  if (comparison.score_a.targets == data::TargetKind::kValues) {
    result["r2_a"] = comparison.score_a.value();
    result["r2_b"] = comparison.score_b.value();
    return result;
  }
  result["correct_a"] = comparison.score_a.correct;
  result["correct_b"] = comparison.score_b.correct;
  result["predictions_changed"] = comparison.predictions_changed;
  return result;
}

}  // namespace detent::report
