// Evidence of models and pairs of them, on the command line and in what a run writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/data/digits.h"
#include "detent/data/idx.h"
#include "tests/cli/process.h"

namespace detent::cli::evidence_test {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

constexpr const char* kRecipe = R"([model]
layers = ["flatten", "fc1: linear 32", "relu", "fc2: linear 10"]
[train]
epochs = 3
batch = 50
learning_rate = 0.01
[quantize]
keep_float = ["fc2"]
[slices]
"thin ones" = "stroke_thickness < 50 % and class != 1"
[check]
max_slice_drop = 0.5
)";

// A run's files in "out", from digits in "digits", of which "broken" is a copy whose test images of class 3 are black.
class Evidence : public testing::Test {
 protected:
  Evidence() {
    write_text(folder_ / "tiny.toml", kRecipe);
    data::DataSource digits = data::make_digits({.train = 1500, .test = 400, .seed = 3});
    data::write_idx_folder(folder_ / "digits", digits);
    for (std::int64_t i = 0; i < digits.test.size(); ++i) {
      if (digits.test.labels.data<std::int32_t>()[static_cast<std::size_t>(i)] == 3) {
        digits.test.examples.rows(i, i + 1).fill_zero();
      }
    }
    data::write_idx_folder(folder_ / "broken", digits);
    const Outcome trained = detent(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "out"});
    EXPECT_EQ(trained.status, 0) << trained.err;
    said_ = trained.out;
  }
  Outcome eval(std::vector<std::string> models, const std::vector<std::string>& more,
               const std::string& data = "digits") {
    models.insert(models.begin(), "eval");
    models.insert(models.end(), {"--data", data, "--seconds", "0.01"});
    models.insert(models.end(), more.begin(), more.end());
    return detent(folder_, models);
  }
  TempFolder folder_;
  std::string said_;
};

TEST_F(Evidence, StandsInWhatARunWrites) {
  const nlohmann::json metrics = nlohmann::json::parse(read_text(folder_ / "out" / "metrics.json"));
  const nlohmann::json& evidence = metrics["evidence"];
  for (const std::string name : {"fp32", "qat", "int8"}) {
    const nlohmann::json& model = evidence["models"][name];
    EXPECT_EQ(model["accuracy"], metrics[name]["test_accuracy"]) << name;
    EXPECT_EQ(model["file_bytes"], metrics[name]["model_bytes"]) << name;
    EXPECT_GT(model["latency_ms"]["p50"].get<double>(), 0.0) << name;
    EXPECT_EQ(model["throughput"].size(), 3U) << name;
  }
  EXPECT_EQ(evidence["models"]["int8"]["float_modules"],
            nlohmann::json({{{"module", "fc2"}, {"why", "kept in float as asked by 'fc2'"}}}));
  ASSERT_EQ(evidence["pairs"].size(), 3U);
  const nlohmann::json& pair = evidence["pairs"][0];
  EXPECT_EQ(pair["a"], "fp32");
  EXPECT_EQ(pair["b"], "int8");
  std::size_t flips = 0;
  for (const nlohmann::json& each : evidence["pairs"]) {
    flips += each["predictions_changed"].get<std::size_t>();
  }
  const std::string table = read_text(folder_ / "out" / "flips.csv");
  EXPECT_TRUE(table.starts_with("a,b,index,label,class_a,class_b,margin_a,margin_b\n"));
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(table, '\n')), 1 + flips);
  EXPECT_EQ(pair["slices"][0]["slice"], "thin ones");
  EXPECT_EQ(evidence["pairs"][2]["flips"], nlohmann::json::array()) << "QAT and int8 say the same";
  EXPECT_EQ(evidence["verdict"]["checked"], 1);
  EXPECT_EQ(metrics["check"]["checked"], nlohmann::json({"max_slice_drop <= 0.5"}));
  EXPECT_THAT(said_, HasSubstr("int8 against fp32: "));
  EXPECT_THAT(said_, HasSubstr("worst slice: "));
  EXPECT_THAT(said_, HasSubstr("all checks passed"));
}

TEST_F(Evidence, FailsARunThatMissesABound) {
  const Outcome outcome = detent(folder_, {"run", "tiny.toml", "--data", "broken", "--out", "broken-run", "--set",
                                           "check.min_slice_accuracy=0.4"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("check failed: min_slice_accuracy: expected >= 0.4, got 0 (slice 'class = 3'"));
  const nlohmann::json metrics = nlohmann::json::parse(read_text(folder_ / "broken-run" / "metrics.json"));
  EXPECT_THAT(metrics["evidence"]["verdict"]["failures"][0].get<std::string>(), HasSubstr("class = 3"));
  const Outcome unknown =
      detent(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "no", "--set", "slices.x=\"depth < 1\""});
  EXPECT_EQ(unknown.status, 2);
  EXPECT_THAT(unknown.err, HasSubstr("slice 'x': digits test has no 'depth'; expected one of class, brightness"));
}

TEST_F(Evidence, OfOneModelFindsTheBrokenSlice) {
  const Outcome good = eval({"out/int8.h5"}, {"--max-slice-drop", "0.6"});
  EXPECT_EQ(good.status, 0) << good.err << good.out;
  EXPECT_THAT(good.out, HasSubstr("of 400 test images right"));
  EXPECT_THAT(good.out, HasSubstr("all checks passed: max_slice_drop <= 0.6"));
  EXPECT_THAT(good.out, ContainsRegex("fc2 +kept in float as asked by 'fc2'"));
  const Outcome broken = eval({"out/int8.h5"}, {"--max-slice-drop", "0.6"}, "broken");
  EXPECT_EQ(broken.status, 1);
  EXPECT_THAT(broken.err, HasSubstr("check failed: max_slice_drop: expected <= 0.6"));
  EXPECT_THAT(broken.err, HasSubstr("slice 'class = 3'"));
  EXPECT_THAT(eval({"out/int8.h5"}, {}).out, HasSubstr("nothing was checked"));
  // Nine of ten classes are as they were, so that the headline hides it.
  write_text(folder_ / "headline.toml", "[model]\nlayers = [\"flatten\"]\n[check]\nint8_accuracy = 0.5\n");
  const Outcome hidden = eval({"out/int8.h5"}, {"--recipe", "headline.toml"}, "broken");
  EXPECT_EQ(hidden.status, 0) << hidden.err;
  EXPECT_THAT(hidden.out, HasSubstr("all checks passed: int8_accuracy >= 0.5"));
}

TEST_F(Evidence, OfTwoModelsIsForPeopleAndPrograms) {
  const Outcome table = eval({"out/fp32.h5", "out/int8.h5"}, {"--slice", "brightness < 10 %"});
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("B against A: "));
  EXPECT_THAT(table.out, HasSubstr("McNemar p = "));
  EXPECT_THAT(table.out, ContainsRegex("latency, batch 1: 50 % +[0-9.e-]+ ms +[0-9.e-]+ ms"));
  EXPECT_THAT(table.out, HasSubstr("labels (rows) and predictions (columns)"));
  const Outcome outcome = eval({"out/fp32.h5", "out/int8.h5"}, {"--json", "--recipe", "tiny.toml", "--max-flips", "1"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  const nlohmann::json metrics = nlohmann::json::parse(read_text(folder_ / "out" / "metrics.json"));
  EXPECT_EQ(json["images"], 400);
  EXPECT_EQ(json["evidence"]["pairs"][0]["flips"], metrics["evidence"]["pairs"][0]["flips"]) << "as the run said";
  EXPECT_EQ(json["evidence"]["pairs"][0]["slices"], metrics["evidence"]["pairs"][0]["slices"]);
  EXPECT_EQ(json["evidence"]["verdict"]["checked"], 2);
  const Outcome fast = eval({"out/qat.h5", "out/int8.h5"}, {"--json", "--seconds", "0"});
  EXPECT_TRUE(nlohmann::json::parse(fast.out)["evidence"]["models"]["out/int8.h5"]["latency_ms"].is_null());
}

TEST_F(Evidence, RefusesInOneLine) {
  const auto expect_refused = [&](const Outcome& outcome, const std::string& what) {
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  };
  expect_refused(eval({"out/int8.h5"}, {"--max-flips", "0.1"}), "is between two models; write detent eval A.h5 B.h5");
  expect_refused(eval({"out/int8.h5"}, {"--max-slice-drop", "2"}),
                 "--max-slice-drop: expected a number from 0 to 1, got '2'");
  expect_refused(eval({"out/int8.h5"}, {"--slice", "thin"}), "slice 'thin': expected a subject");
  expect_refused(eval({"out/int8.h5", "out/int8.h5"}, {"--json"}), "'out/int8.h5' is named twice");
  expect_refused(eval({"out/fp32.h5", "out/int8.h5"}, {"--target", "torch"}), "--target rounds one int8 model");
}

TEST_F(Evidence, PredictNamesWhatEveryModelSays) {
  const std::string images = "digits/t10k-images-idx3-ubyte.gz";
  std::vector<nlohmann::json> said;
  for (const std::string model : {"out/fp32.h5", "out/qat.h5", "out/int8.h5"}) {
    const Outcome outcome = detent(folder_, {"predict", model, images, "--json", "--top", "2"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    said.push_back(nlohmann::json::parse(outcome.out)["predictions"]);
    ASSERT_EQ(said.back().size(), 400U);
    EXPECT_EQ(said.back()[7]["classes"].size(), 2U);
    EXPECT_GE(said.back()[7]["classes"][0]["probability"], said.back()[7]["classes"][1]["probability"]);
  }
  EXPECT_EQ(said[1], said[2]) << "what trained is what ships";
  const nlohmann::json metrics = nlohmann::json::parse(read_text(folder_ / "out" / "metrics.json"));
  for (const nlohmann::json& flip : metrics["evidence"]["pairs"][0]["flips"]) {
    const auto index = flip["index"].get<std::size_t>();
    EXPECT_EQ(said[0][index]["classes"][0]["number"], flip["a"]) << index;
    EXPECT_EQ(said[2][index]["classes"][0]["number"], flip["b"]) << index;
  }
  const Outcome text = detent(folder_, {"predict", "out/int8.h5", "digits", images, "--top", "1"});
  ASSERT_EQ(text.status, 0) << text.err;
  EXPECT_EQ(std::count(text.out.begin(), text.out.end(), '\n'), 800) << "a line an example";
  EXPECT_THAT(text.out, ContainsRegex("^digits \\[0\\]: [0-9] [0-9.]+ %\n"));
  const Outcome wrong = detent(folder_, {"predict", "out/int8.h5", "out/int8.h5"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("has no examples: expected images or features"));
  EXPECT_EQ(detent(folder_, {"predict", "out/int8.h5", "nothing.h5"}).status, 2);
}

// A table of flowers: their class lies in their width, and their camera beside it.
class Flowers : public testing::Test {
 protected:
  Flowers() {
    std::string rows = "width,height,camera,species\n";
    for (int i = 0; i < 200; ++i) {
      const bool is_rose = i % 2 == 1;
      rows += std::to_string((is_rose ? 5 : 1) + i % 3) + "," + std::to_string(i % 7) +
              (i % 5 == 0 ? ",north," : ",south,") + (is_rose ? "rose\n" : "lily\n");
    }
    write_text(folder_ / "flowers.csv", rows);
    write_text(folder_ / "flowers.toml", R"([data]
name = "flowers.csv"
label = "species"
slices = ["camera"]
normalize = "columns"
[model]
layers = ["linear 8", "relu", "linear 2"]
[train]
epochs = 20
batch = 20
learning_rate = 0.05
)");
    const Outcome trained = detent(folder_, {"run", "flowers.toml", "--out", "out"});
    EXPECT_EQ(trained.status, 0) << trained.err;
  }
  TempFolder folder_;
};

TEST_F(Flowers, AreSlicedByTheColumnsBesideThemAndByFeatures) {
  const nlohmann::json metrics = nlohmann::json::parse(read_text(folder_ / "out" / "metrics.json"));
  std::vector<std::string> slices;
  for (const nlohmann::json& slice : metrics["evidence"]["pairs"][0]["slices"]) {
    slices.push_back(slice["slice"]);
  }
  EXPECT_THAT(slices, testing::IsSupersetOf({"class = lily", "class = rose", "camera = south", "camera = north"}));
  EXPECT_THAT(slices, testing::IsSupersetOf({"width = 1", "width = 7", "height = 0"}));
  const Outcome eval = detent(folder_, {"eval", "out/int8.h5", "--data", "flowers.csv", "--slice",
                                        "camera = north and class = rose", "--json"});
  ASSERT_EQ(eval.status, 0) << eval.err;
  const nlohmann::json json = nlohmann::json::parse(eval.out);
  EXPECT_EQ(json["evidence"]["models"]["out/int8.h5"]["slices"][0]["slice"], "camera = north and class = rose");
  EXPECT_EQ(json["class_names"], nlohmann::json({"lily", "rose"}));
}

TEST_F(Flowers, AreNamedWhenTheyArePredicted) {
  write_text(folder_ / "new.csv", "height,width\n3,6\n2,1\n");
  const Outcome outcome = detent(folder_, {"predict", "out/int8.h5", "new.csv", "--top", "1"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, ContainsRegex("^new.csv, line 2: rose [0-9.]+ %\nnew.csv, line 3: lily [0-9.]+ %\n$"))
      << "columns are found by name, and normalized as in training";
  write_text(folder_ / "other.csv", "height,depth\n3,6\n");
  const Outcome other = detent(folder_, {"predict", "out/int8.h5", "other.csv"});
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("has no column \"width\", which the model was trained on"));
}

}  // namespace
}  // namespace detent::cli::evidence_test
