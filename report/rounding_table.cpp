#include "detent/report/rounding_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/report/metrics_table.h"
#include "detent/report/targets/score_text.h"

namespace detent::report {
namespace {

using evaluation::LayerRounding;
using evaluation::TargetRounding;

std::string target_name(const TargetRounding& target) {
  return std::string(name_in(kernels::rounding_targets(), target.target));
}

/// Whose rule made a layer's codes.
std::string rule_name(const TargetRounding& target, const LayerRounding& layer) {
  switch (layer.rule) {
    case runtime::RuleUsed::None:
      return "none";
    case runtime::RuleUsed::Detents:
      return "detent";
    case runtime::RuleUsed::Target:
      return target_name(target);
  }
  return {};
}

std::string counts(const LayerRounding& layer) {
  return fmt::format("{:>16}{:>14}{:>11.4f}%{:>9}", with_separators(layer.codes), with_separators(layer.differing),
                     100.0 * layer.share(), layer.largest);
}

std::string layers_text(const TargetRounding& target) {
  std::size_t width = 5;
  for (const LayerRounding& layer : target.layers) {
    width = std::max(width, layer.name.size());
  }
  std::string text = fmt::format("{:<{}}  {:<11}{:<7}{:>16}{:>14}{:>12}{:>9}\n", "layer", width, "operation", "rule",
                                 "codes", "differ", "share", "largest");
  text += std::string(width + 71, '-') + "\n";
  for (const LayerRounding& layer : target.layers) {
    text += fmt::format("{:<{}}  {:<11}{:<7}{}\n", layer.name, width, layer.operation, rule_name(target, layer),
                        counts(layer));
  }
  text += fmt::format("{:<{}}  {:<18}{}\n", "total", width, "", counts(target.total));
  const std::vector<std::string> detents = target.detents_layers();
  if (!detents.empty()) {
    text += fmt::format("{} has no rule for {}: Detent's is used\n", target_name(target), fmt::join(detents, ", "));
  }
  return text;
}

std::string changed_cell(const TargetRounding& target) {
  return fmt::format(
      "{:>22}", fmt::format("{} of {}", with_separators(target.predictions_changed), with_separators(target.images)));
}

}  // namespace

std::string to_text(std::span<const TargetRounding> targets) {
  std::string text;
  for (const TargetRounding& target : targets) {
    text += fmt::format("Rounded as {} does, beside Detent:\n{}\n", target_name(target), layers_text(target));
  }
  const bool are_values = !targets.empty() && targets.front().score.targets == data::TargetKind::kValues;
  text += fmt::format("{:<8}{:>10}{:>14}{:>16}{:>12}{:>9}{}\n", "target", are_values ? "R2" : "accuracy",
                      "codes differ", "of", "share", "largest", are_values ? "" : "   predictions changed");
  text += std::string(are_values ? 69 : 91, '-') + "\n";
  for (const TargetRounding& target : targets) {
    text += fmt::format("{:<8}{:>10}{:>14}{:>16}{:>11.4f}%{:>9}{}\n", target_name(target), score_cell(target.score),
                        with_separators(target.total.differing), with_separators(target.total.codes),
                        100.0 * target.total.share(), target.total.largest,
                        are_values ? std::string() : changed_cell(target));
  }
  return text;
}

nlohmann::json to_json(std::span<const TargetRounding> targets) {
  nlohmann::json result = nlohmann::json::array();
  for (const TargetRounding& target : targets) {
    nlohmann::json layers = nlohmann::json::array();
    for (const LayerRounding& layer : target.layers) {
      layers.push_back({{"name", layer.name},
                        {"operation", layer.operation},
                        {"rule", rule_name(target, layer)},
                        {"codes", layer.codes},
                        {"codes_differing", layer.differing},
                        {"largest_step", layer.largest}});
    }
    nlohmann::json row{{"target", target_name(target)},        {"images", target.images},
                       {"codes", target.total.codes},          {"codes_differing", target.total.differing},
                       {"largest_step", target.total.largest}, {"layers", std::move(layers)}};
    add_score(target.score, "test_accuracy", row);
    if (target.score.targets != data::TargetKind::kValues) {
      row["predictions_changed"] = target.predictions_changed;
    }
    result.push_back(std::move(row));
  }
  return result;
}

}  // namespace detent::report
