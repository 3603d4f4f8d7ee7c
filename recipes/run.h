#pragma once

#include "detent/recipes/recipe.h"
#include "detent/train/run.h"

namespace detent::recipes {

/// train::run with the recipe's settings and its [model].
evaluation::Metrics run(const Recipe& recipe, const train::RunOptions& options, evaluation::Reporter& reporter);

}  // namespace detent::recipes
