// Recipes with rungs, as a user runs them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/cli/digits_folder.h"
#include "tests/cli/process.h"

namespace detent::cli::ladder_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kLadder = R"(# small: three rungs
[model]
layers = ["flatten", "linear 16", "relu", "linear 10"]
[train]
epochs = 1
batch = 32
[[rungs]]
name = "bf16"
set = ["quantize.method=bf16"]
[[rungs]]
name = "int8 static"
set = ["quantize.method=static"]
[[rungs]]
name = "2/2"
set = ["quantize.weights=int2 lsq", "quantize.activations=uint2 lsq", 'quantize.layers={fc2 = {activations = "uint8"}}']
)";

class Ladder : public testing::Test {
 protected:
  Ladder() {
    write_digits(folder_ / "digits");
    write_text(folder_ / "small.toml", kLadder);
  }
  Outcome run(const std::string& recipe, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"run", recipe, "--data", "digits", "--out", "out"};
    words.insert(words.end(), more.begin(), more.end());
    return detent(folder_, words);
  }
  TempFolder folder_;
};

TEST_F(Ladder, PrintsOneTable) {
  const Outcome outcome = run("small.toml");
  ASSERT_EQ(outcome.status, 0) << outcome.err << outcome.out;
  EXPECT_THAT(outcome.out, testing::ContainsRegex("\nf32: [0-9.]+ %, "));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("\n2/2: [0-9.]+ %, [0-9]+ predictions changed, "));
  EXPECT_THAT(outcome.out, HasSubstr("# small: three rungs"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("\\| rung +\\| accuracy \\| points \\| changed \\| +file"));
  EXPECT_THAT(outcome.out,
              testing::ContainsRegex("\\| f32 +\\| +[0-9.]+ % \\| +- \\| +- \\| +[0-9.]+ KiB \\(1.000\\)"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("\\| int8 static +\\|.*\\| +0 of [0-9,]+ \\|"));
  EXPECT_THAT(outcome.out, HasSubstr("- 2/2: qat: int2 per-channel symmetric lsq, uint2 per-tensor affine lsq"));
  EXPECT_THAT(outcome.out, HasSubstr("- bf16: bf16\n"));
  EXPECT_THAT(outcome.out, HasSubstr(read_text(folder_ / "out" / "small.md")));
  EXPECT_TRUE(fs::exists(folder_ / "out" / "int8-static" / "int8.h5"));
  EXPECT_TRUE(fs::exists(folder_ / "out" / "2-2" / "qat.h5"));
}

TEST_F(Ladder, TellsEachRungAgainstTheFloatModel) {
  const Outcome outcome = run("small.toml", {"--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json, nlohmann::json::parse(read_text(folder_ / "out" / "small.json")));
  ASSERT_EQ(json["rungs"].size(), 4U);
  const nlohmann::json& in_float = json["rungs"][0];
  EXPECT_EQ(in_float["name"], "f32");
  EXPECT_EQ(in_float["predictions_changed"], nullptr);
  EXPECT_EQ(in_float["images"], 60);
  // Weights 784 * 16 + 16 * 10 and biases 16 + 10 of 4 bytes; outputs may be filled up to whole vectors.
  EXPECT_GE(in_float["parameter_bytes"], 4 * (784 * 16 + 16 * 10 + 26));
  EXPECT_LE(in_float["parameter_bytes"], 4 * (784 * 16 + 16 * 16 + 32));
  for (std::size_t i = 1; i < 4; ++i) {
    const nlohmann::json& rung = json["rungs"][i];
    SCOPED_TRACE(rung["name"]);
    EXPECT_EQ(rung["codes_mismatched"], 0);
    EXPECT_EQ(rung["codes_compared"] == 0, rung["name"] == "bf16");
    EXPECT_LT(rung["model_bytes"], json["rungs"][i - 1]["model_bytes"]) << "sizes follow the bits";
    EXPECT_EQ(rung["correct"].get<int>() - in_float["correct"].get<int>(),
              rung["won"].get<int>() - rung["lost"].get<int>());
    EXPECT_LE(rung["lost"].get<int>() + rung["won"].get<int>(), rung["predictions_changed"].get<int>());
  }
  for (const nlohmann::json& rung : json["rungs"]) {
    ASSERT_EQ(rung["latencies"].size(), 2U);
    EXPECT_EQ(rung["latencies"][0]["batch"], 1);
    EXPECT_EQ(rung["latencies"][1]["batch"], 128);
    EXPECT_GT(rung["latencies"][0]["ms"], 0);
    EXPECT_GT(rung["latencies"][0]["of_float"], 0);
  }
  EXPECT_EQ(in_float["latencies"][1]["of_float"], 1.0);
}

TEST_F(Ladder, ItsRunsCanBeRepeated) {
  const Outcome outcome = run("small.toml", {"--set", "train.batch=50"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  for (const std::string rung : {"f32", "int8-static", "2-2"}) {
    const Outcome again = detent(folder_, {"repeat", "out/" + rung});
    EXPECT_EQ(again.status, 0) << again.out << again.err;
    EXPECT_THAT(again.out, testing::ContainsRegex("fp32.h5 +equal"));
    EXPECT_EQ(again.out.find("int8.h5") == std::string::npos, rung == "f32") << again.out;
  }
}

TEST_F(Ladder, GoesOnWithWhatIsMissing) {
  const Outcome first = run("small.toml");
  ASSERT_EQ(first.status, 0) << first.err;
  fs::remove(folder_ / "out" / "2-2" / "result.json");
  const Outcome second = run("small.toml");
  ASSERT_EQ(second.status, 0) << second.err;
  EXPECT_THAT(second.out, testing::ContainsRegex("f32: [0-9.]+ %, as it was there"));
  EXPECT_THAT(second.out, testing::ContainsRegex("int8 static: [^\n]*as it was there"));
  EXPECT_THAT(second.out, Not(testing::ContainsRegex("2/2: [^\n]*as it was there")));
  // A rung that is changed is run anew, and no other.
  std::string text = kLadder;
  text.replace(text.find("int2 lsq"), 8, "int3 lsq");
  write_text(folder_ / "small.toml", text);
  const Outcome changed = run("small.toml");
  EXPECT_THAT(changed.out, testing::ContainsRegex("int8 static: [^\n]*as it was there"));
  EXPECT_THAT(changed.out, Not(testing::ContainsRegex("2/2: [^\n]*as it was there")));
  // Of another seed, everything is.
  EXPECT_THAT(run("small.toml", {"--seed", "2"}).out, Not(HasSubstr("as it was there")));
}

TEST_F(Ladder, TakesAModelThatWasTrainedBefore) {
  write_text(folder_ / "lone.toml",
             "[model]\nlayers = [\"flatten\", \"linear 24\", \"relu\", \"linear 10\"]\n[train]\nepochs = 1\n"
             "[quantize]\nmethod = \"none\"\n");
  ASSERT_EQ(detent(folder_, {"run", "lone.toml", "--data", "digits", "--out", "lone"}).status, 0);
  const Outcome outcome = run("small.toml", {"--set", "model.file=lone/fp32.h5", "--set", "train.epochs=0", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  const nlohmann::json lone = nlohmann::json::parse(read_text(folder_ / "lone" / "metrics.json"));
  EXPECT_EQ(json["rungs"][0]["test_accuracy"], lone["fp32"]["test_accuracy"]);
  EXPECT_GE(json["rungs"][0]["parameter_bytes"], 4 * (784 * 24 + 24 * 10 + 34)) << "that of the file";
}

TEST_F(Ladder, RefusesBeforeItTrains) {
  const auto expect_refused = [&](const std::string& from, const std::string& to, const std::string& what) {
    std::string text = kLadder;
    text.replace(text.find(from), from.size(), to);
    write_text(folder_ / "small.toml", text);
    const Outcome outcome = run("small.toml");
    EXPECT_EQ(outcome.status, 2) << what;
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_FALSE(fs::exists(folder_ / "out"));
  };
  expect_refused("quantize.method=static", "quantize.method=stattic", "rung 'int8 static': --set");
  expect_refused("quantize.method=static", "quantize.method=none", "rung 'int8 static': quantizes nothing");
  expect_refused("\"2/2\"", "\"bf16\"", "[rungs] name: 'bf16' stands twice");
  expect_refused("\"2/2\"", "\"int8-static\"", "would be written to one folder");
  expect_refused("\"2/2\"", "\"../2\"", "expected letters, digits");
  expect_refused("name = \"2/2\"", "nam = \"2/2\"", "[rungs] unknown key 'nam'; did you mean 'name'?");
  write_text(folder_ / "small.toml", kLadder);
  const Outcome profiled = run("small.toml", {"--profile"});
  EXPECT_EQ(profiled.status, 2);
  EXPECT_THAT(profiled.err, HasSubstr("--profile is of one training, and small.toml has several"));
}

TEST_F(Ladder, ShipsAsARecipe) {
  EXPECT_THAT(detent(folder_, {"ls"}).out, HasSubstr("mnist-ladder"));
  const Outcome outcome = run("mnist-ladder", {"--set", "train.epochs=1", "--set", "qat.epochs=1", "--set",
                                               "model.layers=[\"flatten\", \"linear 8\", \"relu\", \"linear 8\", "
                                               "\"relu\", \"linear 10\"]",
                                               "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  std::vector<std::string> names;
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  for (const nlohmann::json& rung : json["rungs"]) {
    names.push_back(rung["name"]);
    EXPECT_EQ(rung["failures"].size(), 0U) << rung;
    if (!rung["codes_mismatched"].is_null()) {
      EXPECT_EQ(rung["codes_mismatched"], 0) << rung["name"];
    }
  }
  EXPECT_THAT(names, testing::ElementsAre("f32", "bf16", "int8 static", "int8 dynamic", "int8 weight-only",
                                          "int4 group 32", "8/8", "4/8", "4/4", "2/2", "ternary/2", "1/1"));
}

}  // namespace
}  // namespace detent::cli::ladder_test
