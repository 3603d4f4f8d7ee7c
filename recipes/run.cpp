#include "detent/recipes/run.h"

#include "detent/recipes/model_builder.h"

namespace detent::recipes {

evaluation::Metrics run(const Recipe& recipe, const train::RunOptions& options, evaluation::Reporter& reporter) {
  const auto make_model = [&](const Shape& input, std::int64_t classes) {
    return build_model(recipe.model, input, classes);
  };
  return train::run(recipe, make_model, options, reporter);
}

}  // namespace detent::recipes
