#include "detent/recipes/series/series_recipe.h"

#include "detent/core/utf8.h"

namespace detent::recipes {
namespace {

// What takes back all that is refused where nothing is quantized.
const std::vector<std::string> kInFloat{"quantize.method=\"none\"", "quantize.improve=[]", "quantize.weights=\"int8\"",
                                        "quantize.activations=\"uint8\"", "quantize.layers={}"};
const std::vector<std::string> kOnCodes{"train.epochs=0"};

Recipe parsed(const RecipeText& from, const std::vector<std::string>& overrides, const std::string& name) {
  Recipe recipe = parse_recipe(from.text, from.file, overrides);
  recipe.name = name;
  recipe.rungs.clear();
  recipe.check = {.max_drop = 1.0};
  recipe.checks_by_dataset.clear();
  return recipe;
}

}  // namespace

Recipe series_recipe(const RecipeText& from, std::vector<std::string> overrides, SeriesPart part,
                     const std::string& name) {
  const std::vector<std::string>& own = part == SeriesPart::Float ? kInFloat : kOnCodes;
  overrides.insert(overrides.end(), own.begin(), own.end());
  return parsed(from, overrides, name);
}

Recipe beginning_with(const Recipe& recipe, const std::string& model) {
  if (!recipe.source || find_invalid_utf8(model) != std::string::npos) {
    Recipe unrecorded = recipe;
    unrecorded.model = {.file = model, .layers = {}};
    unrecorded.source.reset();
    return unrecorded;
  }
  std::vector<std::string> overrides = recipe.source->overrides;
  std::erase_if(overrides, [](const std::string& text) { return text.starts_with("model."); });
  overrides.push_back("model.file=" + recipes::quoted(model));
  return parsed({recipe.source->text, recipe.source->file}, overrides, recipe.name);
}

}  // namespace detent::recipes
