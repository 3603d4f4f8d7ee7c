#pragma once

#include "detent/recipes/model_builder.h"
#include "detent/recipes/recipe.h"
#include "detent/train/run.h"

namespace detent::recipes {

/// What recipes may speak of. What a program adds of its own, it adds to copies of the standard tables:
/// docs/extending.md.
struct Parts {
  Layers layers = standard_layers();
  quant::Kinds kinds = quant::standard_kinds();
  data::Readers readers = data::standard_readers();
};

/// train::run with the recipe's settings and its [model]; what the recipe was read from goes into the record.
evaluation::Metrics run(const Recipe& recipe, const train::RunOptions& options, evaluation::Reporter& reporter,
                        const Parts& parts = {});

}  // namespace detent::recipes
