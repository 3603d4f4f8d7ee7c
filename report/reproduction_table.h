#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "detent/evaluation/reproduction.h"

namespace detent::report {

/// In Markdown: a table of ours beside theirs, a row a model; a table of all runs; the sources.
std::string to_markdown(const evaluation::Reproduction& reproduction);
/// {name, description, note, dataset_description, published_dataset (if it is another, or null), epochs or null, rows
/// [{name, how, is_float, published or null, source,
///   mean, deviation, min, max, test_set_interval [low, high], seeds_interval [low, high] or null,
///   runs [{seed, correct, images, test_accuracy, model_bytes, seconds, codes_compared, codes_mismatched,
///          predictions_changed, lost, won, p_value, failures}]}], failures}
/// Accuracies are shares; the five before `failures` are null for the float model.
nlohmann::json to_json(const evaluation::Reproduction& reproduction);
/// A member of `runs`.
nlohmann::json to_json(const evaluation::ModelRun& run, bool is_float);

}  // namespace detent::report
