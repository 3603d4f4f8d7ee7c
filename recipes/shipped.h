#pragma once

#include <span>
#include <string_view>

namespace detent::recipes {

/// A recipe that is part of the program: `recipes/<name>.toml` as it was at build time.
struct ShippedRecipe {
  std::string_view name;
  std::string_view text;  ///< the whole file
};

/// All shipped recipes, sorted by name. They are compiled in (see cmake/EmbedRecipes.cmake), so they need no folder.
std::span<const ShippedRecipe> shipped_recipes();
/// The published tables, `recipes/published/<name>.toml`, likewise.
std::span<const ShippedRecipe> shipped_tables();

}  // namespace detent::recipes
