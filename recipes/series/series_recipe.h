#pragma once

#include <string>
#include <vector>

#include "detent/recipes/recipe.h"

/// The recipes of a series of runs, a ladder's or a published table's, each of which is a recipe with overrides: what a
/// series changes of it are further overrides, so that the record of each run tells all of it.
namespace detent::recipes {

/// What a run of a series is of.
enum class SeriesPart : std::uint8_t {
  Float,  ///< the float model: nothing is quantized
  Codes,  ///< a form of it in few bits: nothing is trained in float
};

/// The recipe of the text `from` as a series runs it, called `name`. What a run of it loses is for the series to tell,
/// so it is not checked. Throws Error as parse_recipe.
Recipe series_recipe(const RecipeText& from, std::vector<std::string> overrides, SeriesPart part,
                     const std::string& name);

/// `recipe`, a series_recipe, but beginning with the weights in the file `model`; what it says of a model does not
/// count.
Recipe beginning_with(const Recipe& recipe, const std::string& model);

}  // namespace detent::recipes
