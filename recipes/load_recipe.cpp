#include <filesystem>
#include <fstream>

#include "detent/core/error.h"
#include "detent/core/text/nearest.h"
#include "detent/core/text/nearest_path.h"
#include "detent/recipes/recipe.h"
#include "detent/recipes/shipped.h"

namespace detent::recipes {
namespace {

std::string read_text(const std::string& file) {
  std::error_code ignored;
  check(!std::filesystem::is_directory(file, ignored), file, ": is a folder; name a recipe file");
  std::ifstream in(file, std::ios::binary);
  if (!in.is_open()) {
    fail(file, ": cannot be read", did_you_mean_path(file, ";"),
         " name a recipe file, or a recipe that `detent ls` lists");
  }
  constexpr std::size_t kMostBytes = std::size_t{1} << 20;
  std::string text(kMostBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  check(text.size() <= kMostBytes, file, ": is no recipe: it has more than ", kMostBytes, " bytes");
  return text;
}

}  // namespace

RecipeText recipe_text(const std::string& recipe) {
  if (recipe.find('/') != std::string::npos || recipe.ends_with(".toml")) {
    return {read_text(recipe), recipe};
  }
  std::vector<std::string> names;
  for (const ShippedRecipe& shipped : shipped_recipes()) {
    if (shipped.name == recipe) {
      return {std::string(shipped.text), recipe + ".toml"};
    }
    names.emplace_back(shipped.name);
  }
  std::error_code ignored;
  check(!std::filesystem::exists(recipe, ignored), recipe, ": is no recipe, whose name ends in .toml; to train on it, ",
        "write one with name = \"", recipe, "\" under [data], and a [model]");
  fail("unknown recipe '", recipe, "'", did_you_mean(recipe, names, did_you_mean_path(recipe, ";")),
       " `detent ls` lists the recipes; a file's name ", "contains '/' or ends in .toml");
}

Recipe load_recipe(const std::string& recipe, const std::vector<std::string>& overrides) {
  const RecipeText found = recipe_text(recipe);
  return parse_recipe(found.text, found.file, overrides);
}

}  // namespace detent::recipes
