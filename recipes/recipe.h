#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "detent/nn/modules/modules.h"
#include "detent/train/settings.h"

/// A recipe is one TOML file that says all about a run: sections [data] [model] [train] [quantize] [qat] [convert]
/// [check] [slices], each a struct of train/settings.h, with the defaults of keys that are left out. docs/recipes.md
/// lists the keys. With [[rungs]] it is a ladder (ladder/ladder.h).
namespace detent::recipes {

/// One line of [model] layers, or one of the [[model.nodes]]. `text` is the operation and its options: "conv 32 3x3
/// stride 2". See model_builder.h.
struct LayerSpec {
  std::string text = {};
  std::string name = {};                 ///< empty: the operation's own ("conv1", "fc2")
  std::vector<std::string> inputs = {};  ///< empty: the layer before; "input" is the graph's input
  std::string where = {};                ///< "recipe.toml:12: [model] layer 3", for messages
};

struct ModelSection {
  std::string file = {};            ///< of a float model with its weights; empty: `layers` say the model
  std::optional<Shape> image = {};  ///< of an ONNX model that takes rows: [H, W, C] of the images that they are
  std::vector<LayerSpec> layers;
  nn::Init init = nn::Init::Default;
};

/// One of the [[rungs]]: the recipe's model, quantized as these overrides say.
struct RungSpec {
  std::string name = {};
  std::vector<std::string> set = {};  ///< "quantize.weights=int4"
};
/// What the float model is called among rungs.
inline constexpr std::string_view kFloatRung = "f32";

/// What a run is told (its `name` is the file's name without folder and ".toml", as valid UTF-8), and its model.
struct Recipe : train::Settings {
  std::string description = {};  ///< the file's first line if it is a comment, without "# "
  ModelSection model = {};
  std::vector<RungSpec> rungs = {};
  /// What it was read from, for the record of its run. None where it was changed afterwards.
  struct Source {
    std::string text = {};
    std::string file = {};
    std::vector<std::string> overrides = {};
  };
  std::optional<Source> source = {};
};

/// Reads a recipe from TOML text. `file` is its name in messages. Each of `overrides` is "section.key=value", the value
/// in TOML or a bare word for a string; they are applied in order and checked as the file is.
///
/// Throws Error, in one line with file and line number, for text that is not UTF-8, bad TOML, an unknown section or key
/// (naming the nearest), a wrong type, a value out of range, or values that contradict each other:
///   recipe.toml:12: [train] epochs: expected a whole number >= 0, got "two"; write epochs = 2
Recipe parse_recipe(std::string_view text, const std::string& file, const std::vector<std::string>& overrides = {});

/// `text` as a TOML value, for overrides of any text.
std::string quoted(std::string_view text);

/// `recipe` is a file, or the name of a shipped recipe. A name that contains '/' or ends in ".toml" is a file. Throws
/// Error, naming the nearest shipped recipe, if there is none.
Recipe load_recipe(const std::string& recipe, const std::vector<std::string>& overrides = {});

/// The text of a recipe that is named like that, and its file's name for messages.
struct RecipeText {
  std::string text = {};
  std::string file = {};
};
RecipeText recipe_text(const std::string& recipe);

/// The comment in the first line of a recipe's text: what `detent ls` shows.
std::string first_comment(std::string_view text);

}  // namespace detent::recipes
