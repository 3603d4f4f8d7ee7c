#include <filesystem>
#include <fstream>
#include <iterator>

#include "kernels/error.h"
#include "recipes/nearest.h"
#include "recipes/recipe.h"
#include "recipes/shipped.h"

namespace detent::recipes {
namespace {

std::string read_text(const std::string& file) {
  std::error_code ignored;
  check(!std::filesystem::is_directory(file, ignored), file, ": is a folder; name a recipe file");
  std::ifstream in(file, std::ios::binary);
  check(in.is_open(), file, ": cannot be read; name a recipe file, or a recipe that `detent ls` lists");
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace

Recipe load_recipe(const std::string& recipe, const std::vector<std::string>& overrides) {
  if (recipe.find('/') != std::string::npos || recipe.ends_with(".toml")) {
    return parse_recipe(read_text(recipe), recipe, overrides);
  }
  std::vector<std::string> names;
  for (const ShippedRecipe& shipped : shipped_recipes()) {
    if (shipped.name == recipe) {
      return parse_recipe(shipped.text, recipe + ".toml", overrides);
    }
    names.emplace_back(shipped.name);
  }
  fail("unknown recipe '", recipe, "'", did_you_mean(recipe, names), " `detent ls` lists the recipes; a file's name ",
       "contains '/' or ends in .toml");
}

CheckSection Recipe::check_for(std::string_view dataset) const {
  CheckSection result = check;
  for (const NamedCheck& named : checks_by_dataset) {
    if (named.dataset != dataset) {
      continue;
    }
    const auto overlay = [](auto& base, const auto& top) { base = top ? top : base; };
    overlay(result.fp32_accuracy, named.check.fp32_accuracy);
    overlay(result.int8_accuracy, named.check.int8_accuracy);
    overlay(result.max_drop, named.check.max_drop);
    overlay(result.static_max_drop, named.check.static_max_drop);
    overlay(result.codes_mismatched, named.check.codes_mismatched);
  }
  return result;
}

quant::QConfigMapping Recipe::qconfig_mapping(std::optional<quant::WeightQuantizer> weights) const {
  const quant::QConfig config{.weight = weights.value_or(quantize.weights),
                              .activation = quantize.activations,
                              .backward = qat.backward,
                              .range = qat.range};
  quant::QConfigMapping mapping(config);
  for (const std::string& pattern : quantize.keep_float) {
    if (pattern.find('*') == std::string::npos) {
      mapping.set_name(pattern, std::nullopt);
    } else {
      mapping.set_pattern(pattern, std::nullopt);
    }
  }
  return mapping;
}

}  // namespace detent::recipes
