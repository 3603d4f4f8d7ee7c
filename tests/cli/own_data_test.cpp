// Data of one's own, from a file or folder to a verified int8 model, as a user types it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/process.h"
#include "tests/data/npy_files.h"
#include "tests/data/pictures.h"

namespace detent::cli::own_data_test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kModel = R"([train]
epochs = 15
batch = 16
learning_rate = 0.02
[quantize]
method = "qat"
[qat]
epochs = 2
learning_rate = 0.002
[check]
fp32_accuracy = 0.9
int8_accuracy = 0.9
codes_mismatched = 0
)";

// Numbers that look random and are always the same.
double noise(int i) { return (i * 7919 % 1009) / 1009.0 - 0.5; }

class OwnData : public testing::Test {
 protected:
  void write_recipe(const std::string& data, const std::string& layers) {
    std::string text = "[data]\n";
    text.append(data).append("\n[model]\nlayers = ").append(layers).append("\n").append(kModel);
    write_text(folder_ / "my.toml", text);
  }
  json run() {
    const Outcome outcome = detent(folder_, {"run", "my.toml", "--json"});
    EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
    return outcome.status == 0 ? json::parse(outcome.out) : json();
  }
  void expect_verified(const json& metrics) {
    ASSERT_TRUE(metrics.contains("verify")) << metrics;
    EXPECT_GT(metrics["verify"]["codes_compared"], 0);
    EXPECT_EQ(metrics["verify"]["codes_mismatched"], 0);
  }
  Outcome inspect() { return detent(folder_, {"inspect", "runs/my/int8.h5"}); }
  // Pictures of a bright left or right half.
  void write_pictures() {
    for (int i = 0; i < 120; ++i) {
      Picture picture = Picture::of(8, 8, 1, 0);
      const bool is_left = i % 2 == 0;
      for (std::uint32_t p = 0; p < 64; ++p) {
        const bool is_bright = (p % 8 < 4) == is_left;
        picture.pixels[p] =
            static_cast<std::uint8_t>((is_bright ? 150 : 40) + 80 * noise(i * 64 + static_cast<int>(p)));
      }
      write_png(folder_ / ("pictures/" + std::string(is_left ? "left" : "right") + "/" + std::to_string(i) + ".png"),
                picture);
    }
  }
  // Flowers of two measures, one of which is a hundred times the other.
  void write_table(const std::string& name = "flowers.csv") {
    std::string text = "id;width;height;species;site\n";
    for (int i = 0; i < 150; ++i) {
      const int kind = i / 50;  // sorted
      const char* const species = kind == 0 ? "\"iris, small\"" : kind == 1 ? "\"rose\"" : "\"tulip\"";
      text.append("f").append(std::to_string(i)).append(";").append(std::to_string(kind + 0.3 * noise(i)));
      text.append(";").append(std::to_string(100.0 * (kind == 1 ? 3 : 1) + 40.0 * noise(2 * i + 1)));
      text.append(";").append(species).append(i % 2 == 0 ? ";north\n" : ";south\n");
    }
    write_text(folder_ / name, text);
  }
  TempFolder folder_;
};

TEST_F(OwnData, AFolderOfPicturesGoesToAVerifiedInt8Model) {
  write_pictures();
  write_recipe("name = \"./pictures\"", R"(["conv 4 3x3", "relu", "flatten", "linear 2"])");
  const json metrics = run();
  expect_verified(metrics);
  EXPECT_EQ(metrics["dataset"], "pictures");
  EXPECT_THAT(inspect().out, HasSubstr("[\"left\",\"right\"]"));
  const Outcome eval = detent(folder_, {"eval", "runs/my/int8.h5", "--data", "pictures"});
  EXPECT_EQ(eval.status, 0) << eval.err;
  EXPECT_THAT(eval.out, HasSubstr("of 24 test images right"));
}

TEST_F(OwnData, ATableGoesToAVerifiedInt8Model) {
  write_table();
  write_recipe(
      "name = \"flowers.csv\"\nlabel = \"species\"\nignore = [\"id\"]\nnormalize = \"columns\"\nvalidation = 0.2",
      R"(["linear 16", "relu", "linear 3"])");
  const json metrics = run();
  expect_verified(metrics);
  const Outcome shown = inspect();
  EXPECT_THAT(shown.out, HasSubstr("[\"iris, small\",\"rose\",\"tulip\"]"));
  EXPECT_THAT(shown.out, HasSubstr("[\"width\",\"height\"]"));
  EXPECT_THAT(shown.out, HasSubstr("normalization_columns"));
  // The model knows how its data are read, split and normalized.
  const Outcome eval = detent(folder_, {"eval", "runs/my/int8.h5", "--data", "flowers.csv", "--json"});
  ASSERT_EQ(eval.status, 0) << eval.err;
  EXPECT_EQ(detent(folder_, {"verify", "runs/my/qat.h5", "runs/my/int8.h5", "--data", "flowers.csv"}).status, 0);
}

TEST_F(OwnData, AModelKnowsItsClassesByName) {
  write_table();
  write_recipe("name = \"flowers.csv\"\nlabel = \"species\"\nignore = [\"id\"]\nnormalize = \"columns\"",
               R"(["linear 16", "relu", "linear 3"])");
  run();
  // Of another file, without the first class, the others keep their numbers; and an unknown one is refused.
  std::string later, foreign;
  std::istringstream table(read_text(folder_ / "flowers.csv"));
  for (std::string line; std::getline(table, line);) {
    later += line.find("iris") == std::string::npos ? line + "\n" : "";
    foreign +=
        (line.find("rose") == std::string::npos ? line : line.substr(0, line.find("\"rose")) + "daisy;north") + "\n";
  }
  write_text(folder_ / "later.csv", later);
  write_text(folder_ / "foreign.csv", foreign);
  const Outcome eval = detent(folder_, {"eval", "runs/my/int8.h5", "--data", "later.csv"});
  EXPECT_EQ(eval.status, 0) << eval.err;
  EXPECT_THAT(eval.out, HasSubstr("100.00 % of 20 test images right"));
  const Outcome refused = detent(folder_, {"eval", "runs/my/int8.h5", "--data", "foreign.csv"});
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(refused.err, HasSubstr("foreign.csv:52, column 4 (\"species\"): \"daisy\" is none of the classes"));
  write_text(folder_ / "words.csv", "width;height\nwide;1\n");
  EXPECT_THAT(detent(folder_, {"predict", "runs/my/int8.h5", "words.csv"}).err,
              HasSubstr("words.csv:2, column 1 (\"width\"): expected a number, got \"wide\"; mend it"));
}

TEST_F(OwnData, ANumpyArchiveGoesToAVerifiedInt8Model) {
  std::vector<float> x;
  std::vector<std::int64_t> y;
  for (int i = 0; i < 120; ++i) {
    y.push_back(i % 3);
    for (int k = 0; k < 3; ++k) {
      x.push_back(static_cast<float>((i % 3 == k ? 1.0 : 0.0) + 0.4 * noise(3 * i + k)));
    }
  }
  write_npz(folder_ / "points.npz", {{"x", npy("<f4", "(120, 3)", x)}, {"y", npy("<i8", "(120,)", y)}}, true);
  write_recipe("name = \"points.npz\"", R"(["linear 12", "relu", "linear 3"])");
  expect_verified(run());
  EXPECT_THAT(inspect().out, HasSubstr("[\"0\",\"1\",\"2\"]"));

  // An array that only the slice names stands beside the examples.
  write_npz(folder_ / "site.npz",
            {{"x", npy("<f4", "(120, 3)", x)}, {"y", npy("<i8", "(120,)", y)}, {"site", npy("<i8", "(120,)", y)}},
            true);
  const Outcome sliced = detent(folder_, {"eval", "runs/my/int8.h5", "--seconds", "0", "--data", "site.npz", "--slice",
                                          "site = 2 and class = 2"});
  EXPECT_EQ(sliced.status, 0) << sliced.err;
  EXPECT_THAT(sliced.out, testing::ContainsRegex("site = 2 and class = 2 +8 "));
  EXPECT_THAT(detent(folder_, {"eval", "runs/my/int8.h5", "--data", "site.npz", "--slice", "side = 2"}).err,
              HasSubstr("site.npz: slices: has no array \"side\"; arrays are: x, y, site"));
}

TEST_F(OwnData, ShowTellsWhatWasUnderstood) {
  write_table();
  const Outcome asked = detent(folder_, {"data", "show", "flowers.csv"});
  EXPECT_EQ(asked.status, 2);
  EXPECT_THAT(asked.err, HasSubstr("which column is the label?"));
  EXPECT_THAT(asked.err, HasSubstr("or --set data.label=NAME; columns are: id, width, height, species, site"));
  const std::vector<std::string> show{
      "data", "show", "flowers.csv", "--set", "data.label=species", "--set", "data.ignore=[\"id\"]"};
  const Outcome shown = detent(folder_, show);
  ASSERT_EQ(shown.status, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("120 training and 30 test examples"));
  EXPECT_THAT(shown.out, testing::ContainsRegex("rose +40 +10"));
  EXPECT_THAT(shown.out, testing::ContainsRegex("width +-?0\\.1[0-9]* +2\\.1"));
  EXPECT_THAT(shown.out, HasSubstr("beside them: site (texts)"));
  EXPECT_THAT(shown.out, HasSubstr("normalize = \"columns\""));
  std::vector<std::string> normalized = show;
  normalized.insert(normalized.end(), {"--set", "data.normalize=\"columns\""});
  EXPECT_THAT(detent(folder_, normalized).out, testing::Not(HasSubstr("write normalize = "))) << "it is written";
  std::vector<std::string> with_json = show;
  with_json.push_back("--json");
  const json result = json::parse(detent(folder_, with_json).out);
  EXPECT_EQ(result["class_names"], json({"iris, small", "rose", "tulip"}));
  EXPECT_EQ(result["train"]["counts"], json({40, 40, 40}));
  EXPECT_EQ(result["targets"], "classes");

  write_pictures();
  write_png(folder_ / "pictures/left/black.png", Picture::of(8, 8, 1, 0));
  const Outcome pictures = detent(folder_, {"data", "show", "pictures"});
  ASSERT_EQ(pictures.status, 0) << pictures.err;
  EXPECT_THAT(pictures.out, HasSubstr("images u8 [8, 8, 1]"));
  EXPECT_THAT(pictures.out, HasSubstr("1 of one value everywhere: left/black.png"));
  EXPECT_EQ(detent(folder_, {"data", "show", "nowhere"}).status, 2);
}

TEST_F(OwnData, WhatIsNamedIsNeverReplaced) {
  const std::string layers = R"(["flatten", "linear 10"])";
  for (const std::string name : {"mnist", "flowers", "./nowhere", "nowhere.csv"}) {
    write_recipe("name = \"" + name + "\"", layers);
    const Outcome outcome = detent(folder_, {"run", "my.toml"}, {}, "unset DETENT_DATA; export XDG_CACHE_HOME=.; ");
    EXPECT_EQ(outcome.status, 2) << name << outcome.out;
    EXPECT_THAT(outcome.err, HasSubstr(name));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  const Outcome show =
      detent(folder_, {"data", "show", "--set", "data.name=mnist"}, {}, "unset DETENT_DATA; export XDG_CACHE_HOME=.; ");
  EXPECT_EQ(show.status, 2);
  EXPECT_THAT(show.err, HasSubstr("no data set \"mnist\""));
}

}  // namespace
}  // namespace detent::cli::own_data_test
