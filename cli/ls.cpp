#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "detent/cli/commands.h"
#include "detent/cli/console.h"
#include "detent/recipes/recipe.h"
#include "detent/recipes/shipped.h"
#include "detent/report/json_text.h"

namespace detent::cli {
namespace {

// "mnist-cnn: 99 % in int8" without the name, which stands in the first column.
std::string description_of(const recipes::ShippedRecipe& recipe) {
  const std::string comment = recipes::first_comment(recipe.text);
  const std::string prefix = std::string(recipe.name) + ": ";
  return comment.starts_with(prefix) ? comment.substr(prefix.size()) : comment;
}

int ls(const Arguments& arguments) {
  nlohmann::json json = nlohmann::json::array();
  std::string text;
  for (const recipes::ShippedRecipe& recipe : recipes::shipped_recipes()) {
    const std::string description = description_of(recipe);
    json.push_back({{"name", std::string(recipe.name)}, {"description", description}});
    text += fmt::format("{:<16}{}\n", recipe.name, description);
  }
  print(arguments.has("json") ? report::json_text({{"recipes", json}}) : text);
  return 0;
}

}  // namespace

Command ls_command() {
  return {.spec = {.name = "ls",
                   .positionals = "",
                   .summary = "List the recipes that ship with the program",
                   .example = "detent ls",
                   .options = {json_option()}},
          .run = ls};
}

}  // namespace detent::cli
