#include "detent/report/targets/score_text.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace detent::report {

using data::TargetKind;

std::string score_cell(const evaluation::TargetScore& score) {
  return score.targets == TargetKind::kValues ? fmt::format("{:.4f}", score.value())
                                              : fmt::format("{:.2f} %", 100.0 * score.value());
}

std::string score_text(const evaluation::TargetScore& score) {
  switch (score.targets) {
    case TargetKind::kClasses:
      return score_cell(score) + " right";
    case TargetKind::kFlags:
      return score_cell(score) + " with all flags right";
    case TargetKind::kValues:
      return "R2 " + score_cell(score);
  }
  return {};
}

void add_score(const evaluation::TargetScore& score, const std::string& key, nlohmann::json& json) {
  if (score.targets == TargetKind::kValues) {
    const evaluation::ValueErrors errors = score.errors();
    json["r2"] = errors.r2;
    json["mean_absolute_error"] = errors.mean_absolute_error;
    json["root_mean_squared_error"] = errors.root_mean_squared_error;
    return;
  }
  json["correct"] = score.correct;
  json[key] = score.value();
  if (score.targets == TargetKind::kFlags) {
    json["mean_accuracy"] = score.mean_accuracy();
  }
}

}  // namespace detent::report
