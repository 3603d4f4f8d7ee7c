#pragma once

#include <filesystem>
#include <optional>

#include "detent/evaluation/progress.h"
#include "detent/evaluation/record/run_record.h"
#include "detent/evaluation/reproduction.h"
#include "detent/recipes/recipe.h"

/// A recipe with [[rungs]] is a ladder: one float model, and what becomes of it in fewer and fewer bits.
///
///   [[rungs]]
///   name = "4/4"                                                        letters, digits, ' ', '/', '_' and '-'
///   set = ["quantize.weights=int4", "quantize.activations=uint4"]       overrides of the recipe
namespace detent::recipes {

struct LadderOptions {
  std::vector<std::string> overrides = {};         ///< of the recipe and of every rung
  std::optional<std::filesystem::path> data = {};  ///< a folder or file that the user named
  std::filesystem::path out = {};                  ///< made if need be
  std::uint64_t seed = 1;
  int threads = 1;                    ///< for the record, as RunOptions::threads
  evaluation::RunRecord record = {};  ///< what the caller knows of how the runs were started
  bool strict = false;                ///< as [convert] strict
};

/// The recipe of a rung, which begins with the weights of the float model and trains it no more in float; with null
/// that of the float model. [check] is left out: what is lost is what the table tells. Throws Error as parse_recipe,
/// naming the rung.
Recipe rung_recipe(const RecipeText& text, const RungSpec* rung, const std::vector<std::string>& overrides);

/// Trains the float model of `recipe`, a name or a file, makes all rungs of it, and measures them: accuracy and changed
/// predictions on the test set, bytes in file and memory, and the time of inference of one and of 128 examples, all
/// rungs turn by turn. Writes to options.out:
///
///   <name>.md, <name>.json   the table (report/ladder_table.h), when all is done
///   f32/, 4-4/, ...          what each run writes (train/run.h), and what is kept of it (series/kept_run.h)
///
/// A run that is there, of the same recipe, seed, data and float model, is used again; times are measured anew. All
/// rungs are read before the first run. Throws Error for a recipe without rungs, and as train::run does.
evaluation::Ladder climb(const std::string& recipe, const LadderOptions& options, evaluation::Reporter& reporter);

}  // namespace detent::recipes
