#pragma once

#include <filesystem>
#include <optional>

#include "detent/evaluation/progress.h"
#include "detent/evaluation/record/run_record.h"
#include "detent/evaluation/reproduction.h"
#include "detent/recipes/published/published_table.h"
#include "detent/recipes/recipe.h"

namespace detent::recipes {

struct ReproduceOptions {
  std::optional<std::filesystem::path> data = {};  ///< a folder or file that the user named
  std::filesystem::path out = {};                  ///< made if need be
  std::int64_t seeds = 3;                          ///< 1, 2, ... so many
  std::optional<std::int64_t> epochs = {};         ///< of each training, float and on codes, instead of the table's own
  std::vector<std::string> only = {};              ///< names of rows; empty: all
  int threads = 1;                                 ///< for the record, as RunOptions::threads
  evaluation::RunRecord record = {};               ///< what the caller knows of how the runs were started
};

/// The most seeds, for student_interval.
inline constexpr std::int64_t kMostSeeds = 30;

/// The recipe of a row, or with null of the float model: what it must reach is left out, for the table says that.
Recipe recipe_of(const PublishedTable& table, const PublishedRow* row, std::optional<std::int64_t> epochs = {});

/// Trains the float model and the rows of `table` from each seed, and compares. Writes to options.out:
///
///   <name>.md, <name>.json           the table (report/reproduction_table.h), when all is done
///   seed-1/float/, seed-1/4-4/, ...  what each run writes (train/run.h), and what is kept of it (series/kept_run.h)
///
/// A run that is there, of the same recipe, seed, data and float model, is used again: what was interrupted goes on
/// with the runs that are missing. All rows are read before the first run. Throws Error for an unknown row, and as
/// train::run does.
evaluation::Reproduction reproduce(const PublishedTable& table, const ReproduceOptions& options,
                                   evaluation::Reporter& reporter);

}  // namespace detent::recipes
