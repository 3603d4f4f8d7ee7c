#include "detent/recipes/recipe.h"

#include <gtest/gtest.h>

#include <cctype>

#include "detent/core/error.h"
#include "detent/recipes/shipped.h"

namespace detent::recipes::recipe_test {
namespace {

const std::string kModel = "[model]\nlayers = [\"flatten\", \"linear 10\"]\n";

// The text of the Error that parsing gives, or "" if it gives none.
std::string error_of(const std::string& text, const std::vector<std::string>& overrides = {}) {
  try {
    parse_recipe(text, "r.toml", overrides);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(Recipe, DefaultsStandWhereKeysAreLeftOut) {
  const Recipe recipe = parse_recipe("# what it is for\n" + kModel, "some/where/mine.toml");
  EXPECT_EQ(recipe.name, "mine");
  EXPECT_EQ(recipe.description, "what it is for");
  EXPECT_EQ(recipe.train.epochs, 2);
  EXPECT_EQ(recipe.train.batch, 128);
  EXPECT_FALSE(recipe.train.drop_last.has_value());
  EXPECT_EQ(recipe.train.optimizer, train::OptimizerKind::Adam);
  EXPECT_EQ(recipe.quantize.method, quant::Method::Qat);
  EXPECT_EQ(recipe.quantize.calibration, 512);
  EXPECT_EQ(recipe.qat.epochs, 1);
  EXPECT_EQ(recipe.qat.backward, DType::BF16);
  EXPECT_FALSE(recipe.check.int8_accuracy.has_value());
}

TEST(Recipe, ReadsEveryKey) {
  const Recipe recipe = parse_recipe(R"(
[data]
name = "digits"
validation = 0.1
train_examples = 300
test_examples = 100
normalize = {mean = 0.5, std = 0.25}
augment = {shift = 1.5, rotation = 10, scale = 0.1, elastic = 2}
[model]
init = "xavier_normal"
layers = ["c: conv 4 3x3", "flatten", "linear 10"]
[train]
epochs = 3
batch = 32
drop_last = true
optimizer = "sgd"
learning_rate = 1
schedule = "step"
step_epochs = 2
step_factor = 0.5
final_learning_rate = 1e-5
warmup_share = 0.2
warmup_steps = 7
momentum = 0.8
nesterov = true
weight_decay = 1e-4
clip_norm = 5
loss = "cross_entropy"
label_smoothing = 0.1
precision = "bf16"
[quantize]
method = "static"
weights = "int4 per-tensor symmetric"
activations = "uint4 per-tensor affine"
keep_float = ["fc1", "conv*"]
calibration = 64
compare_static = ["int8 per-tensor symmetric"]
[qat]
epochs = 4
learning_rate = 3e-4
freeze_observers_at = 0.5
freeze_batch_norm_at = 0.25
backward = "fp32"
range = "current"
[convert]
strict = true
[check]
fp32_accuracy = 0.9
int8_accuracy = 0.8
max_drop = 0.01
static_max_drop = 0.02
codes_mismatched = 0
[check.digits]
int8_accuracy = 0.7
)",
                                     "r.toml");
  EXPECT_EQ(recipe.data.name, "digits");
  EXPECT_EQ(recipe.data.validation, 0.1);
  EXPECT_EQ(recipe.data.train_examples, 300);
  EXPECT_EQ(recipe.data.test_examples, 100);
  EXPECT_EQ(recipe.data.normalize->mean, 0.5F);
  EXPECT_EQ(recipe.data.normalize->std, 0.25F);
  EXPECT_EQ(recipe.data.augment.shift, 1.5F);
  EXPECT_EQ(recipe.data.augment.rotation, 10.0F);
  EXPECT_EQ(recipe.data.augment.scale, 0.1F);
  EXPECT_EQ(recipe.data.augment.elastic, 2.0F);
  EXPECT_EQ(recipe.model.init, nn::Init::XavierNormal);
  ASSERT_EQ(recipe.model.layers.size(), 3U);
  EXPECT_EQ(recipe.model.layers[0].name, "c");
  EXPECT_EQ(recipe.model.layers[0].text, "conv 4 3x3");
  EXPECT_EQ(recipe.model.layers[0].where, "r.toml:11: [model] layer 1");
  EXPECT_EQ(recipe.train.epochs, 3);
  EXPECT_EQ(recipe.train.batch, 32);
  EXPECT_EQ(recipe.train.drop_last, true);
  EXPECT_EQ(recipe.train.optimizer, train::OptimizerKind::Sgd);
  EXPECT_EQ(recipe.train.learning_rate, 1.0);
  EXPECT_EQ(recipe.train.schedule, train::ScheduleKind::Step);
  EXPECT_EQ(recipe.train.step_epochs, 2);
  EXPECT_EQ(recipe.train.step_factor, 0.5);
  EXPECT_EQ(recipe.train.final_learning_rate, 1e-5);
  EXPECT_EQ(recipe.train.warmup_share, 0.2);
  EXPECT_EQ(recipe.train.warmup_steps, 7);
  EXPECT_EQ(recipe.train.momentum, 0.8);
  EXPECT_TRUE(recipe.train.nesterov);
  EXPECT_EQ(recipe.train.weight_decay, 1e-4);
  EXPECT_EQ(recipe.train.clip_norm, 5.0);
  EXPECT_EQ(recipe.train.label_smoothing, 0.1);
  EXPECT_EQ(recipe.train.precision, DType::BF16);
  EXPECT_EQ(recipe.quantize.method, quant::Method::Static);
  EXPECT_EQ(recipe.quantize.weights.grid.bits, 4);
  EXPECT_EQ(recipe.quantize.weights.granularity, quant::Granularity(quant::PerTensor{}));
  EXPECT_EQ(recipe.quantize.activations.grid.bits, 4);
  EXPECT_EQ(recipe.quantize.keep_float, (std::vector<std::string>{"fc1", "conv*"}));
  EXPECT_EQ(recipe.quantize.calibration, 64);
  EXPECT_EQ(recipe.qat.epochs, 4);
  EXPECT_EQ(recipe.qat.learning_rate, 3e-4);
  EXPECT_EQ(recipe.qat.freeze_observers_at, 0.5);
  EXPECT_EQ(recipe.qat.freeze_batch_norm_at, 0.25);
  EXPECT_EQ(recipe.qat.backward, DType::F32);
  EXPECT_EQ(recipe.qat.range, quant::RangeUse::Current);
  EXPECT_TRUE(recipe.convert.strict);
  EXPECT_EQ(recipe.check_for("mnist").int8_accuracy, 0.8);
  EXPECT_EQ(recipe.check_for("digits").int8_accuracy, 0.7);
  EXPECT_EQ(recipe.check_for("digits").max_drop, 0.01);
  EXPECT_FALSE(recipe.qconfig_mapping().lookup("conv1", "conv2d").has_value());
  EXPECT_FALSE(recipe.qconfig_mapping().lookup("fc1", "linear").has_value());
  EXPECT_EQ(recipe.qconfig_mapping().lookup("fc2", "linear")->weight.grid.bits, 4);
}

TEST(Recipe, EveryShippedRecipeParses) {
  EXPECT_GE(shipped_recipes().size(), 3U);
  for (const ShippedRecipe& shipped : shipped_recipes()) {
    SCOPED_TRACE(shipped.name);
    const Recipe recipe = load_recipe(std::string(shipped.name));
    EXPECT_EQ(recipe.name, shipped.name);
    EXPECT_TRUE(recipe.description.starts_with(std::string(shipped.name) + ": ")) << recipe.description;
  }
}

TEST(Recipe, OverridesAreReadAsTomlOrAsBareWords) {
  const Recipe recipe = parse_recipe(kModel, "r.toml",
                                     {"train.epochs=5", "train.epochs=7", "data.name=digits",
                                      "train.learning_rate=1e-2", "quantize.keep_float=[\"fc1\", \"fc2\"]",
                                      "data.augment.shift=2.5", "check.digits.max_drop=0.5", "train.nesterov=false"});
  EXPECT_EQ(recipe.train.epochs, 7);
  EXPECT_EQ(recipe.data.name, "digits");
  EXPECT_EQ(recipe.train.learning_rate, 1e-2);
  EXPECT_EQ(recipe.quantize.keep_float, (std::vector<std::string>{"fc1", "fc2"}));
  EXPECT_EQ(recipe.data.augment.shift, 2.5F);
  EXPECT_EQ(recipe.check_for("digits").max_drop, 0.5);
}

TEST(Recipe, OverridesAreCheckedAsTheFileIs) {
  EXPECT_EQ(error_of(kModel, {"train.epochs=two"}),
            "--set train.epochs=two: [train] epochs: expected a whole number >= 0 and <= 1000000, got \"two\"; write "
            "epochs = 2");
  EXPECT_EQ(error_of(kModel, {"train.epoch=2"}),
            "--set train.epoch=2: [train] unknown key 'epoch'; did you mean 'epochs'?");
  EXPECT_EQ(error_of(kModel, {"trian.epochs=2"}),
            "--set trian.epochs=2: unknown section [trian]; did you mean 'train'?");
  EXPECT_EQ(error_of(kModel, {"epochs=2"}),
            "--set epochs=2: expected section.key=value; write for example --set train.epochs=2");
  EXPECT_EQ(error_of(kModel, {"train.epochs"}),
            "--set train.epochs: expected section.key=value; write for example --set train.epochs=2");
}

TEST(Recipe, LayersAreQuantizedInTheirOwnWay) {
  const Recipe recipe = parse_recipe(kModel + R"([quantize]
weights = "int6 per-tensor"
activations = "uint7"
keep_float = ["last"]
[quantize.layers]
conv1 = "int8 per-channel mse"
"fc*" = {activations = "uint4 percentile 99"}
fc9 = "float"
)",
                                     "r.toml");
  const quant::QConfigMapping mapping = recipe.qconfig_mapping();
  const auto rest = mapping.lookup("other", "linear");
  ASSERT_TRUE(rest);
  EXPECT_EQ(quant::to_text(rest->weight), "int6 per-tensor symmetric");
  const auto conv1 = mapping.lookup("conv1", "conv2d");
  ASSERT_TRUE(conv1);
  EXPECT_EQ(quant::to_text(conv1->weight), "int8 per-channel symmetric mse");
  EXPECT_EQ(conv1->activation, rest->activation);
  const auto fc1 = mapping.lookup("fc1", "linear");
  ASSERT_TRUE(fc1);
  EXPECT_EQ(fc1->weight, rest->weight);
  EXPECT_EQ(quant::to_text(fc1->activation), "uint4 per-tensor affine percentile 99");
  EXPECT_FALSE(mapping.lookup("fc9", "linear"));
  EXPECT_FALSE(mapping.lookup("last", "linear"));
  const auto variant = recipe.qconfig_mapping(quant::int8_weights()).lookup("conv1", "conv2d");
  EXPECT_EQ(variant->weight, conv1->weight) << "layers of their own keep what they have in every variant";
}

struct BadRecipe {
  std::string text;
  std::string error;
  /// The error, of the characters that a test's name may have.
  friend void PrintTo(const BadRecipe& row, std::ostream* out) {
    for (const char c : row.error) {
      *out << (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' ? c : '_');
    }
  }
};

class RecipeErrors : public testing::TestWithParam<BadRecipe> {};

TEST_P(RecipeErrors, AreOneClearLine) { EXPECT_EQ(error_of(GetParam().text), GetParam().error); }

INSTANTIATE_TEST_SUITE_P(
    All, RecipeErrors,
    testing::Values(
        BadRecipe{
            kModel + "[train]\nepochs = \"two\"\n",
            "r.toml:4: [train] epochs: expected a whole number >= 0 and <= 1000000, got \"two\"; write epochs = 2"},
        BadRecipe{kModel + "[train]\nepochs = -1\n",
                  "r.toml:4: [train] epochs: expected a whole number >= 0 and <= 1000000, got -1; write epochs = 2"},
        BadRecipe{kModel + "[train]\nepochs = 1.5\n",
                  "r.toml:4: [train] epochs: expected a whole number >= 0 and <= 1000000, got 1.5; write epochs = 2"},
        BadRecipe{kModel + "[train]\nbatch = 0\n",
                  "r.toml:4: [train] batch: expected a whole number >= 1 and <= 1048576, got 0; write batch = 128"},
        BadRecipe{kModel + "[train]\nepochs = 9223372036854775807\n",
                  "r.toml:4: [train] epochs: expected a whole number >= 0 and <= 1000000, got 9223372036854775807; "
                  "write epochs = 2"},
        BadRecipe{kModel + "[train]\nstep_epochs = 1152921504606846976\n",
                  "r.toml:4: [train] step_epochs: expected a whole number >= 1 and <= 1000000, got "
                  "1152921504606846976; write step_epochs = 1"},
        BadRecipe{kModel + "[train]\nwarmup_steps = 9007199254740993\n",
                  "r.toml:4: [train] warmup_steps: expected a whole number >= 0 and <= 9007199254740992, got "
                  "9007199254740993; write warmup_steps = 0"},
        BadRecipe{kModel + "[train]\ndrop_last = 1\n",
                  "r.toml:4: [train] drop_last: expected true or false, got 1; write drop_last = true"},
        BadRecipe{kModel + "[qat]\nepochs = 9223372036854775807\n",
                  "r.toml:4: [qat] epochs: expected a whole number >= 1 and <= 1000000, got 9223372036854775807; write "
                  "epochs = 1"},
        BadRecipe{kModel + "[quantize]\ncalibration = 9223372036854775807\n",
                  "r.toml:4: [quantize] calibration: expected a whole number >= 1 and <= 9007199254740992, got "
                  "9223372036854775807; write calibration = 512"},
        BadRecipe{kModel + "[quantize]\ncompare_static = [\"int8 per-tensor symmetric\", \"symmetric per-tensor "
                           "int8\"]\n",
                  "r.toml:4: [quantize] compare_static: 'symmetric per-tensor int8' stands twice; remove one"},
        BadRecipe{kModel + "[train]\n\nepoch = 3\n", "r.toml:5: [train] unknown key 'epoch'; did you mean 'epochs'?"},
        BadRecipe{kModel + "[train]\nzzzzzz = 3\n", "r.toml:4: [train] unknown key 'zzzzzz'"},
        BadRecipe{kModel + "[trani]\nepochs = 3\n", "r.toml:3: unknown section [trani]; did you mean 'train'?"},
        BadRecipe{kModel + "train = 3\n", "r.toml:3: [model] unknown key 'train'"},
        BadRecipe{"train = 3\n" + kModel, "r.toml:1: 'train' must be a section; write [train]"},
        BadRecipe{kModel + "[train]\nlearning_rate = 0\n",
                  "r.toml:4: [train] learning_rate: expected a number > 0, got 0; write learning_rate = 0.001"},
        BadRecipe{kModel + "[train]\nlearning_rate = nan\n",
                  "r.toml:4: [train] learning_rate: expected a number > 0, got nan; write learning_rate = 0.001"},
        BadRecipe{kModel + "[train]\nmomentum = 1.0\n",
                  "r.toml:4: [train] momentum: expected a number >= 0 and < 1, got 1; write momentum = 0.9"},
        BadRecipe{kModel + "[train]\noptimizer = \"adan\"\n",
                  "r.toml:4: [train] optimizer: expected \"sgd\", \"adam\" or \"adamw\", got \"adan\"; did you mean "
                  "'adam'?"},
        BadRecipe{kModel + "[train]\noptimizer = 3\n",
                  "r.toml:4: [train] optimizer: expected \"sgd\", \"adam\" or \"adamw\", got 3"},
        BadRecipe{kModel + "[train]\nprecision = \"fp8\"\n",
                  "r.toml:4: [train] precision: expected \"fp32\", \"bf16\" or \"fp16\", got \"fp8\""},
        BadRecipe{kModel + "[train]\nnesterov = true\n",
                  "r.toml:4: [train] nesterov: needs optimizer = \"sgd\" and momentum > 0"},
        BadRecipe{kModel + "[train]\nnesterov = 1\n",
                  "r.toml:4: [train] nesterov: expected true or false, got 1; write nesterov = false"},
        BadRecipe{kModel + "[train]\nloss = \"mse\"\nlabel_smoothing = 0.1\n",
                  "r.toml:5: [train] label_smoothing: needs loss = \"cross_entropy\""},
        BadRecipe{kModel + "[data]\nnormalize = 0.5\n",
                  "r.toml:4: [data] normalize: expected a table or \"columns\", got 0.5; write normalize = {mean = "
                  "0.1307, std = 0.3081}"},
        BadRecipe{kModel + "[data]\nnormalize = {mean = 0, sd = 1}\n",
                  "r.toml:4: [data.normalize] unknown key 'sd'; did you mean 'std'?"},
        BadRecipe{kModel + "[data]\naugment = 3\n",
                  "r.toml:4: [data] augment: expected a word or a table, got 3; write augment = \"none\" or {shift = "
                  "2.0}"},
        BadRecipe{kModel + "[data]\naugment = \"shfit\"\n",
                  "r.toml:4: [data] augment: expected \"none\", \"shift\", \"affine\", \"elastic\" or \"colour\", got "
                  "\"shfit\"; did you mean 'shift'?"},
        BadRecipe{kModel + "[data]\nvalidation = 1.0\n",
                  "r.toml:4: [data] validation: expected a number >= 0 and < 1, got 1; write validation = 0"},
        BadRecipe{kModel + "[quantize]\nmethod = \"static\"\nimprove = [\"equalise\"]\n",
                  "r.toml:5: [quantize] improve: expected \"equalize\", \"adaround\" or \"bias-correction\", got "
                  "\"equalise\"; did "
                  "you mean 'equalize'?"},
        BadRecipe{kModel + "[quantize]\nmethod = \"static\"\nimprove = [\"equalize\", \"equalize\"]\n",
                  "r.toml:5: [quantize] improve: 'equalize' stands twice; remove one"},
        BadRecipe{kModel + "[quantize]\nimprove = [\"equalize\"]\n",
                  "r.toml:4: [quantize] improve: is for static quantization, and the method is \"qat\"; write method = "
                  "\"static\", or remove it"},
        BadRecipe{kModel + "[quantize]\nkeep_float = \"fc1\"\n",
                  "r.toml:4: [quantize] keep_float: expected an array of texts, got \"fc1\"; write keep_float = "
                  "[\"...\"]"},
        BadRecipe{kModel + "[quantize.layers]\n\"fc*\" = \"int9\"\n",
                  "r.toml:4: [quantize.layers] fc*: weights: expected 1 to 8 bits, got 9"},
        BadRecipe{kModel + "[quantize.layers]\nfc1 = {weight = \"int4\"}\n",
                  "r.toml:4: [quantize.layers.fc1] unknown key 'weight'; did you mean 'weights'?"},
        BadRecipe{
            kModel + "[quantize.layers]\nfc1 = 4\n",
            "r.toml:4: [quantize.layers] fc1: expected weights, \"float\" or a table, got 4; write fc1 = \"int4\" "
            "or {weights = \"int4\", activations = \"uint4\"}"},
        BadRecipe{kModel + "[quantize]\nlayers = 4\n",
                  "r.toml:4: [quantize] layers: expected a table, got 4; write layers = {\"fc*\" = \"int4\"}"},
        BadRecipe{kModel + "file = \"fp32.h5\"\n",
                  "r.toml:2: [model] layers: a model that comes from a file has its own; remove one"},
        BadRecipe{kModel + "[quantize]\nkeep_float = [1]\n",
                  "r.toml:4: [quantize] keep_float: expected texts in the array, got 1; write keep_float = [\"...\"]"},
        BadRecipe{kModel + "[qat]\nepochs = 0\n",
                  "r.toml:4: [qat] epochs: expected a whole number >= 1 and <= 1000000, got 0; write epochs = 1"},
        BadRecipe{kModel + "[check]\nint8_accuracy = 99\n",
                  "r.toml:4: [check] int8_accuracy: expected a number >= 0 and <= 1, got 99; write int8_accuracy = "
                  "0.99"},
        BadRecipe{kModel + "[check.digits]\nmaxdrop = 0.1\n",
                  "r.toml:4: [check.digits] unknown key 'maxdrop'; did you mean 'max_drop'?"},
        BadRecipe{"[train]\n",
                  "r.toml: [model] has no layers; write layers = [\"flatten\", \"linear 10\"], or file = \"fp32.h5\""},
        BadRecipe{"[model]\nlayers = []\n",
                  "r.toml: [model] has no layers; write layers = [\"flatten\", \"linear 10\"], or file = \"fp32.h5\""},
        BadRecipe{"[model]\nlayers = 3\n",
                  "r.toml:2: [model] layers: expected an array of texts, got 3; write layers = [\"...\"]"},
        BadRecipe{kModel + "nodes = [3]\n",
                  "r.toml:3: [model] nodes: a model has either layers or nodes, not both; remove one"},
        BadRecipe{"[[model.nodes]]\nname = \"a\"\n",
                  "r.toml:1: [model] node 1: has no op; write op = \"conv 32 3x3\""}),
    [](const auto& row) { return "row_" + std::to_string(row.index); });

TEST(Recipe, BadQuantizersNameTheKeyAndTheMend) {
  const std::string error = error_of(kModel + "[quantize]\nweights = \"int9 per-channel\"\n");
  EXPECT_TRUE(error.starts_with("r.toml:4: [quantize] weights: ")) << error;
  const std::string affine = error_of(kModel + "[quantize]\nweights = \"int8 per-channel affine\"\n");
  EXPECT_TRUE(affine.starts_with("r.toml:4: [quantize] weights: ")) << affine;
}

TEST(Recipe, BadTomlNamesTheLine) {
  const std::string error = error_of("[model]\nlayers = [\"flatten\"\n[train]\n");
  EXPECT_TRUE(error.starts_with("r.toml:3: not valid TOML: ")) << error;
  EXPECT_EQ(error.find('\n'), std::string::npos) << error;
}

TEST(Recipe, TablesOfKeysLieOnlySoDeepInEachOther) {
  const auto key_of = [](int parts) {
    std::string key = "a";
    for (int i = 1; i < parts; ++i) {
      key += ".a";
    }
    return key;
  };
  const std::string too_long = ": a key has more than 32 parts";
  EXPECT_EQ(error_of("\n" + key_of(500000) + " = 1\n"), "r.toml:2" + too_long);
  EXPECT_EQ(error_of("[" + key_of(33) + "]\n"), "r.toml:1" + too_long);
  EXPECT_EQ(error_of("[model]\nx = {y = 1, " + key_of(33) + " = 1}\n"), "r.toml:2" + too_long);
  EXPECT_EQ(error_of("x = \"\"\"\n\\\"\"\"\"\n\"b\"." + key_of(32) + " = 1\n"), "r.toml:3" + too_long);
  EXPECT_EQ(error_of("x = {a = \"\"\"b\"\"\"\", " + key_of(33) + " = 1}\n"), "r.toml:1" + too_long);
  EXPECT_EQ(error_of("x = {a = '''b''''', " + key_of(33) + " = 1}\n"), "r.toml:1" + too_long);
  EXPECT_EQ(error_of(key_of(32) + " = 1\n"), "r.toml:1: unknown section [a]");
  // What is no key may have any number of dots.
  const std::string dots(100, '.');
  EXPECT_EQ(error_of("# " + dots + "\nx = [1.0, \"" + dots + "\", '" + dots + "', '\\', \"\"\"" + dots + "\n" + dots +
                     "\"\"\", 2.0] # " + dots + "\n"),
            "r.toml:2: unknown section [x]");
  const std::string long_override = "train." + key_of(50) + "=1";
  EXPECT_EQ(error_of(kModel, {long_override}), "--set " + long_override + ": the key has too many parts");
  const std::string long_value = "train.epochs={" + key_of(50) + "=1}";
  EXPECT_TRUE(error_of(kModel, {long_value}).starts_with("--set " + long_value)) << error_of(kModel, {long_value});
}

TEST(Recipe, AMistypedRecipeNamesTheNearest) {
  try {
    load_recipe("mnist-cn");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with("unknown recipe 'mnist-cn'; did you mean 'mnist-cnn'?"))
        << error.what();
  }
  EXPECT_THROW(load_recipe("no/such/file.toml"), Error);
  EXPECT_THROW(load_recipe("/"), Error);
}

}  // namespace
}  // namespace detent::recipes::recipe_test
