#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "detent/evaluation/targets/target_score.h"

namespace detent::report {

/// How good a model is, for people: "98.50 % right", "98.50 % with all flags right", "R2 0.9876".
std::string score_text(const evaluation::TargetScore& score);

/// The same in a table, without what its head says: "98.50 %", "0.9876".
std::string score_cell(const evaluation::TargetScore& score);

/// Adds what a program wants to know of a score: of classes and flags `correct` and, as `key`, the share that is right;
/// of flags `mean_accuracy`, too; of values `r2`, `mean_absolute_error` and `root_mean_squared_error`.
void add_score(const evaluation::TargetScore& score, const std::string& key, nlohmann::json& json);

}  // namespace detent::report
