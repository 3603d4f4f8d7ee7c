// [model] file: recipes that begin with a model.
#include <gtest/gtest.h>

#include "detent/recipes/recipe.h"
#include "tests/error_of.h"

namespace detent::recipes::model_file_test {
namespace {

const std::string kLayers = "[model]\nlayers = [\"flatten\", \"linear 10\"]\n";

std::string error_of_recipe(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return error_of([&] { parse_recipe(text, "r.toml", overrides); });
}

TEST(ModelFile, IsNotTrainedUnasked) {
  const Recipe recipe = parse_recipe("[model]\nfile = \"models/fp32.h5\"\n", "folder/r.toml");
  EXPECT_EQ(recipe.model.file, "folder/models/fp32.h5") << "starts at the recipe's folder";
  EXPECT_TRUE(recipe.model.layers.empty());
  EXPECT_EQ(recipe.train.epochs, 0);
  EXPECT_FALSE(recipe.data.name) << "as the model says";
  EXPECT_FALSE(recipe.data.normalize);
  const Recipe tuned =
      parse_recipe("[model]\nfile = \"fp32.h5\"\n[train]\nepochs = 3\n", "folder/r.toml", {"model.file=other/fp32.h5"});
  EXPECT_EQ(tuned.model.file, "other/fp32.h5") << "starts at the current folder";
  const Recipe replaced = parse_recipe(kLayers, "r.toml", {"model.file=fp32.h5"});
  EXPECT_EQ(replaced.model.file, "fp32.h5");
  EXPECT_EQ(error_of_recipe("[model]\nfile = \"fp32.h5\"\n", {"model.layers=[\"flatten\"]"}),
            "--set model.layers=[\"flatten\"]: [model] layers: a model that comes from a file has its own; remove one");
  EXPECT_TRUE(replaced.model.layers.empty()) << "the command line's file takes the place of the recipe's layers";
  EXPECT_EQ(tuned.train.epochs, 3);
}

TEST(ModelFile, OfRowsMayBeOfImages) {
  const std::string text = "[model]\nfile = \"m.onnx\"\nimage = \"28x20\"\n";
  EXPECT_EQ(parse_recipe(text, "r.toml").model.image, (Shape{28, 20, 1}));
  EXPECT_EQ(parse_recipe(text, "r.toml", {"model.image=4x5x3"}).model.image, (Shape{4, 5, 3}));
  EXPECT_EQ(parse_recipe(text, "r.toml", {"model.file=fp32.h5"}).model.image, std::nullopt) << "has its own";
  EXPECT_EQ(error_of_recipe("[model]\nfile = \"m.onnx\"\nimage = \"28\"\n"),
            "r.toml:3: [model] image: expected height and width, and channels if there are several, got \"28\"; write "
            "image = \"28x28\"");
  for (const std::string model : {"[model]\nfile = \"fp32.h5\"\n", "[model]\nlayers = [\"linear 10\"]\n"}) {
    EXPECT_EQ(error_of_recipe(model + "image = \"28x28\"\n"),
              "r.toml:3: [model] image: is of a model that comes from an ONNX file; remove it");
  }
}

}  // namespace
}  // namespace detent::recipes::model_file_test
