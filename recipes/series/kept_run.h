#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "detent/evaluation/progress.h"
#include "detent/evaluation/reproduction.h"
#include "detent/recipes/recipe.h"
#include "detent/train/run.h"
#include "detent/train/run_data.h"

/// Runs of a series, of which what was done is kept: a series that was interrupted goes on with those that are missing.
namespace detent::recipes {

/// What is kept of a run in its folder, as result.json, which is written last of all: its figures, its predictions on
/// the test set, and a key that names all that it depends on.
struct KeptRun {
  std::string key = {};
  evaluation::ModelRun run = {};
  std::vector<std::int32_t> predictions = {};
  bool was_there = false;
};

/// What keys are made of: SHA-256 of a text.
std::string digest_of(const std::string& text);

/// "4/4" as part of a path: "4-4".
std::string folder_of(std::string name);
/// fp32.h5, or int8.h5 where the recipe quantizes.
std::string model_file_of(const Recipe& recipe);

/// The run of `recipe` in options.out, or, if it is there already under this key and whole, what was kept of it.
/// `data` are the run's own. Of the run's messages the warnings alone are passed on. Throws Error as train::run does.
KeptRun run_or_keep(const Recipe& recipe, const train::RunOptions& options, const std::string& key,
                    const train::RunData& data, evaluation::Reporter& reporter);

}  // namespace detent::recipes
