#include "detent/recipes/run.h"

namespace detent::recipes {

evaluation::Metrics run(const Recipe& recipe, const train::RunOptions& options, evaluation::Reporter& reporter,
                        const Parts& parts) {
  if (!recipe.model.file.empty()) {
    return train::run(
        recipe,
        {.trained = trained_model_of(recipe.model, parts.kinds), .kinds = parts.kinds, .readers = parts.readers},
        options, reporter);
  }
  const auto make_model = [&](const Shape& input, std::int64_t classes) {
    return build_model(recipe.model, input, classes, parts.layers);
  };
  return train::run(recipe, {.make_model = make_model, .kinds = parts.kinds, .readers = parts.readers}, options,
                    reporter);
}

}  // namespace detent::recipes
