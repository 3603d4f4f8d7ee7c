// Recipes of dynamic and weight-only quantization.

#include <gtest/gtest.h>

#include "detent/recipes/recipe.h"
#include "tests/error_of.h"

namespace detent::recipes::hybrid_recipe_test {
namespace {

const std::string kModel = "[model]\nlayers = [\"flatten\", \"linear 10\"]\n";

TEST(HybridRecipe, DynamicQuantizationHasAScaleAnExample) {
  const auto activations = [](const std::string& quantize) {
    const Recipe recipe = parse_recipe(kModel + "[quantize]\nmethod = \"dynamic\"\n" + quantize, "r.toml");
    return quant::to_text(recipe.quantize.activations);
  };
  EXPECT_EQ(activations(""), "uint8 per-token affine");
  EXPECT_EQ(activations("activations = \"uint6\"\n"), "uint6 per-token affine");
  EXPECT_EQ(activations("activations = \"uint8 per-token affine\"\n"), "uint8 per-token affine");
  const Recipe recipe =
      parse_recipe(kModel + "[quantize]\nmethod = \"dynamic\"\nlayers = {fc1 = {activations = \"uint4\"}}\n", "r.toml");
  const quant::QConfig own = *recipe.qconfig_mapping().lookup("fc1", "linear");
  EXPECT_EQ(quant::to_text(own.activation), "uint4 per-token affine");
  // Static models beside it have one scale.
  const quant::QConfig beside = *recipe.qconfig_mapping(quant::int8_weights()).lookup("fc2", "linear");
  EXPECT_EQ(quant::to_text(beside.activation), "uint8 per-tensor affine");
}

TEST(HybridRecipe, ActivationsFitTheMethod) {
  const auto error_with = [](const std::string& quantize) {
    return error_of([&] { parse_recipe(kModel + "[quantize]\n" + quantize, "r.toml"); });
  };
  EXPECT_EQ(error_with("activations = \"uint8 per-token\"\n"),
            "r.toml:4: [quantize] activations: per-token ranges are taken as the model runs, and the method is "
            "\"qat\"; write method = \"dynamic\", or per-tensor");
  EXPECT_EQ(error_with("method = \"dynamic\"\nactivations = \"uint8 percentile 99\"\n"),
            "r.toml:5: [quantize] activations: dynamic quantization takes the range of each example as it is; "
            "leave out range and map rules");
  EXPECT_EQ(error_with("method = \"weight-only\"\nlayers = {fc1 = {activations = \"uint8\"}}\n"),
            "r.toml:5: [quantize] layers: the method is \"weight-only\", which makes no codes of activations; write "
            "\"bf16\" or \"fp32\", or remove them");
  EXPECT_EQ(
      error_with("method = \"weight-only\"\nactivations = \"uint8\"\n"),
      "r.toml:5: [quantize] activations: the method is \"weight-only\", which makes no codes of activations; write "
      "\"bf16\" or \"fp32\", or remove them");
  EXPECT_EQ(error_with("activations = \"bf16\"\n"),
            "r.toml:4: [quantize] activations: activations that are no codes are of method = \"weight-only\", and the "
            "method is \"qat\"; write for example \"uint8\"");
  EXPECT_EQ(
      error_with("method = \"dynamic\"\nlayers = {fc1 = {activations = \"fp32\"}}\n"),
      "r.toml:5: [quantize] layers: activations that are no codes are of method = \"weight-only\", and the method "
      "is \"dynamic\"; write for example \"uint8\"");
  EXPECT_EQ(error_with("method = \"weight-only\"\nweights = \"int4 per-group 32\"\n"), "no error");
  EXPECT_EQ(error_with("method = \"bf16\"\nweights = \"int4\"\n"),
            "r.toml:5: [quantize] weights: the method is \"bf16\", which makes no codes; remove them");
  EXPECT_EQ(error_with("method = \"bf16\"\nlayers = {fc1 = \"int8\"}\n"),
            "r.toml:5: [quantize] layers: the method is \"bf16\", which makes no codes; remove them");
  EXPECT_EQ(error_with("method = \"bf16\"\nlayers = {fc1 = \"float\"}\n"), "no error");
}

TEST(HybridRecipe, WeightOnlyActivationsAreNumbersOfEitherType) {
  const auto numbers_of = [](const std::string& quantize, std::string_view layer) {
    const Recipe recipe = parse_recipe(kModel + "[quantize]\nmethod = \"weight-only\"\n" + quantize, "r.toml");
    return recipe.qconfig_mapping().lookup(layer, "linear")->numbers;
  };
  EXPECT_EQ(numbers_of("", "fc1"), DType::F32);
  EXPECT_EQ(numbers_of("activations = \"fp32\"\n", "fc1"), DType::F32);
  EXPECT_EQ(numbers_of("activations = \"bf16\"\n", "fc1"), DType::BF16);
  const std::string mixed = "activations = \"bf16\"\nlayers = {fc1 = {activations = \"fp32\"}, fc2 = \"int4\"}\n";
  EXPECT_EQ(numbers_of(mixed, "fc1"), DType::F32);
  EXPECT_EQ(numbers_of(mixed, "fc2"), DType::BF16);
}

}  // namespace
}  // namespace detent::recipes::hybrid_recipe_test
