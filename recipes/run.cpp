#include "detent/recipes/run.h"

namespace detent::recipes {
namespace {

train::RunOptions with_source(const Recipe& recipe, train::RunOptions options) {
  if (recipe.source) {
    options.record.recipe_text = recipe.source->text;
    options.record.recipe_file = recipe.source->file;
    options.record.overrides = recipe.source->overrides;
  }
  return options;
}

}  // namespace

evaluation::Metrics run(const Recipe& recipe, const train::RunOptions& run_options, evaluation::Reporter& reporter,
                        const Parts& parts) {
  const train::RunOptions options = with_source(recipe, run_options);
  if (!recipe.model.file.empty()) {
    return train::run(recipe,
                      {.trained = trained_model_of(recipe, parts.kinds),
                       .trained_file = recipe.model.file,
                       .kinds = parts.kinds,
                       .readers = parts.readers},
                      options, reporter);
  }
  const auto make_model = [&](const Shape& input, std::int64_t classes) {
    return build_model(recipe.model, input, classes, parts.layers);
  };
  return train::run(recipe, {.make_model = make_model, .kinds = parts.kinds, .readers = parts.readers}, options,
                    reporter);
}

}  // namespace detent::recipes
