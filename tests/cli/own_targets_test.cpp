// Tables with real numbers and flags to predict, and categories among their features: every command, as a user types
// it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/process.h"

namespace detent::cli::own_targets_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kRecipe = R"([data]
name = "cars.csv"
label = ["price", "tax"]
task = "values"
one_hot = ["colour"]
normalize = "columns"
[model]
layers = ["fc1: linear 16", "relu", "fc2: linear 2"]
[train]
epochs = 30
batch = 16
learning_rate = 0.02
[qat]
epochs = 3
learning_rate = 0.002
)";

// Cars: the price depends on width and colour, the tax on the width alone. A trained model lies in runs/cars.
class OwnTargets : public testing::Test {
 protected:
  OwnTargets() {
    const std::vector<std::string> colours{"red", "blue", "green"};
    std::string text = "colour,width,site,price,tax\n";
    for (int i = 0; i < 300; ++i) {
      const double width = (i * 7919 % 1009) / 1009.0;
      const auto colour = static_cast<std::size_t>(i * 31 % 3);
      text += colours[colour] + "," + std::to_string(width) + (i % 2 == 0 ? ",north," : ",south,");
      text += std::to_string(2.0 * width + static_cast<double>(colour)) + "," + std::to_string(1.0 - width) + "\n";
    }
    write_text(folder_ / "cars.csv", text);
    write_text(folder_ / "cars.toml", kRecipe);
  }
  void train(const std::vector<std::string>& more = {}) {
    std::vector<std::string> words{"run", "cars.toml"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = detent(folder_, words);
    ASSERT_EQ(outcome.status, 0) << outcome.out << outcome.err;
    said_ = outcome.out;
  }
  // What a command prints of the models in runs/cars; nobody says where the data lie.
  std::string out_of(const std::vector<std::string>& words) {
    const Outcome outcome = detent(folder_, words);
    EXPECT_EQ(outcome.status, 0) << testing::PrintToString(words) << outcome.err;
    return outcome.out;
  }
  json json_of(std::vector<std::string> words) {
    words.emplace_back("--json");
    return json::parse(out_of(words), nullptr, false);
  }
  TempFolder folder_;
  std::string said_;
};

TEST_F(OwnTargets, OfRealNumbersAreForEveryCommand) {
  train();
  EXPECT_THAT(said_, HasSubstr("one-hot: colour (3 categories)"));
  EXPECT_FALSE(fs::exists(folder_ / "runs/cars/flips.csv")) << "values have no flips";
  const std::string page = read_text(folder_ / "runs/cars/report.html");
  EXPECT_THAT(page, HasSubstr("Mean error of pairs of models"));
  EXPECT_THAT(page, HasSubstr("mean error, "));
  EXPECT_THAT(page, HasSubstr("colour=blue&#39;</th>")) << "drift of each column";
  EXPECT_THAT(page, testing::Not(HasSubstr("McNemar")));
  const std::string fp32 = "runs/cars/fp32.h5", int8 = "runs/cars/int8.h5";
  const std::string evaluated = out_of({"eval", int8, "--seconds", "0"});
  EXPECT_THAT(evaluated, HasSubstr(" (where the model's data lay when it was trained)"));
  EXPECT_THAT(evaluated, ContainsRegex("R2 0\\.9[0-9]+, 60 test examples"));
  const std::string compared = out_of({"compare", fp32, int8});
  EXPECT_THAT(compared, ContainsRegex("60 examples: R2 of A 0\\.9[0-9]+, of B 0\\.9[0-9]+\n"));
  EXPECT_GT(json_of({"compare", fp32, int8})["r2_b"].get<double>(), 0.95);
  EXPECT_EQ(detent(folder_, {"verify", "runs/cars/qat.h5", int8}).status, 0);

  const std::vector<std::string> sizes{"--calibration", "60", "--images", "100"};
  std::vector<std::string> words{"sensitivity", fp32};
  words.insert(words.end(), sizes.begin(), sizes.end());
  EXPECT_THAT(out_of(words), ContainsRegex("fc1 +80 +[-+0-9.e]+ +\\(0.9[0-9]+\\)"));
  const json sensitivity = json_of(words);
  EXPECT_EQ(sensitivity["loss"], "squared error");
  EXPECT_GT(sensitivity["float"]["r2"].get<double>(), 0.95);
  EXPECT_LT(sensitivity["layers"][0]["points"][3]["r2"], sensitivity["layers"][0]["points"][0]["r2"]);

  words[0] = "allocate";
  words.insert(words.end(), {"--max-drop", "2", "-o", "bits.toml"});
  EXPECT_THAT(out_of(words),
              ContainsRegex("measured:  loss [-+0-9.]+, -?[0-9.]+ of R2 lost, the whole model on codes"));
  EXPECT_EQ(detent(folder_, {"run", "bits.toml", "--out", "bits"}).status, 0) << "with the model's own data";

  const std::string rounded = out_of({"eval", int8, "--target", "all"});
  EXPECT_THAT(rounded, ContainsRegex("detent +0\\.9[0-9]+ +0 "));
  EXPECT_EQ(json_of({"eval", int8, "--target", "torch"})["targets"][0]["target"], "torch");
}

TEST_F(OwnTargets, OfFlagsAreForEveryCommand) {
  std::string text = "colour,width,site,price,tax\n";
  for (int i = 0; i < 300; ++i) {
    const double width = (i * 7919 % 1009) / 1009.0;
    text += std::string(i % 2 == 0 ? "red," : "blue,") + std::to_string(width) + ",north," +
            (width > 0.5 ? "1," : "0,") + (i % 2 == 0 ? "1\n" : "0\n");
  }
  write_text(folder_ / "cars.csv", text);
  train({"--set", "data.task=flags"});
  const std::string fp32 = "runs/cars/fp32.h5", int8 = "runs/cars/int8.h5";
  EXPECT_THAT(out_of({"compare", fp32, int8}),
              ContainsRegex("[0-9]+ of 60 predictions differ; right: A [456][0-9], B"));
  const std::string sensitivity = out_of({"sensitivity", fp32, "--calibration", "60", "--images", "100"});
  EXPECT_THAT(sensitivity, ContainsRegex("float: loss [0-9.]+, [0-9.]+ % with all flags right, of 100 training"));
  EXPECT_THAT(sensitivity, HasSubstr("(in brackets: predictions changed)"));
  EXPECT_THAT(out_of({"allocate", fp32, "--calibration", "60", "--images", "100", "--budget", "60%"}),
              ContainsRegex("measured: [^\n]* points lost, [0-9]+ predictions changed"));
  EXPECT_GT(json_of({"eval", int8, "--target", "onnx"})["targets"][0]["mean_accuracy"].get<double>(), 0.8);
}

TEST_F(OwnTargets, DataThatAreNoLongerThereAreTold) {
  train({"--set", "train.epochs=1"});
  fs::rename(folder_ / "cars.csv", folder_ / "moved.csv");
  const Outcome gone = detent(folder_, {"compare", "runs/cars/fp32.h5", "runs/cars/int8.h5"}, {},
                              "unset DETENT_DATA; export XDG_CACHE_HOME=.; ");
  EXPECT_EQ(gone.status, 2);
  EXPECT_THAT(gone.err, HasSubstr("/cars.csv: the data that the model was trained on are no longer there"));
  EXPECT_EQ(std::count(gone.err.begin(), gone.err.end(), '\n'), 1) << gone.err;
  const Outcome named = detent(folder_, {"compare", "runs/cars/fp32.h5", "runs/cars/int8.h5", "--data", "moved.csv"});
  EXPECT_EQ(named.status, 0) << named.err;
  EXPECT_THAT(named.out, Not(HasSubstr("where the model's data lay")));
}

TEST_F(OwnTargets, PredictKnowsTheCategories) {
  train();
  write_text(folder_ / "new.csv", "width,colour\n0.5,green\n0.5,red\n0.5,violet\n");
  const Outcome outcome = detent(folder_, {"predict", "runs/cars/int8.h5", "new.csv", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json said = json::parse(outcome.out)["predictions"];
  EXPECT_NEAR(said[0]["values"][0]["value"].get<double>(), 3.0, 0.3);
  EXPECT_NEAR(said[1]["values"][0]["value"].get<double>(), 1.0, 0.3);
  EXPECT_EQ(
      outcome.err,
      "detent: warning: new.csv: 1 row has no known category of \"colour\" (the first: \"violet\"): all its inputs "
      "are 0\n");
}

TEST_F(OwnTargets, OtherTablesMayHaveOtherColumnsInAnotherOrder) {
  train({"--set", "train.epochs=3"});
  std::string text = "camera,tax,width,colour,price\n";
  std::istringstream rows(read_text(folder_ / "cars.csv"));
  std::string colour, width, site, price, tax;
  std::getline(rows, tax);
  for (int i = 0; std::getline(rows, colour, ',') && std::getline(rows, width, ',') && std::getline(rows, site, ',') &&
                  std::getline(rows, price, ',') && std::getline(rows, tax);
       ++i) {
    text += std::to_string(i % 4) + "," + tax + "," + width + "," + colour + "," + price + "\n";
  }
  write_text(folder_ / "other.csv", text);
  const json before = json_of({"eval", "runs/cars/int8.h5", "--seconds", "0"});
  const json after = json_of({"eval", "runs/cars/int8.h5", "--seconds", "0", "--data", "other.csv", "--slice",
                              "camera = 3 and colour = red", "--slice", "width < 50 %"});
  EXPECT_EQ(after["test_accuracy"], before["test_accuracy"]) << "by the names of the columns, wherever they stand";
  const json& slices = after["evidence"]["models"]["runs/cars/int8.h5"]["slices"];
  const auto is_there = [&](const std::string& name) {
    return std::ranges::any_of(slices, [&](const json& slice) { return slice["slice"] == name; });
  };
  for (const char* const name : {"camera = 3 and colour = red", "width < 50 %", "camera = 2", "colour = blue"}) {
    EXPECT_TRUE(is_there(name)) << name << " in " << slices.dump();
  }
  text.replace(text.find("width"), 5, "wide");
  write_text(folder_ / "renamed.csv", text);
  const Outcome outcome = detent(folder_, {"eval", "runs/cars/int8.h5", "--data", "renamed.csv"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("renamed.csv: has no column \"width\", which the model was trained on"));
}

TEST_F(OwnTargets, ShowListsTheCategories) {
  const std::vector<std::string> show{
      "data", "show", "cars.csv", "--set", "data.label=price", "--set", "data.task=values"};
  EXPECT_THAT(
      out_of(show),
      HasSubstr("beside them: colour (texts); one_hot = [\"colour\"] under [data] makes inputs of its 3 categories"));
  const std::string shown = out_of({"data", "show", "--recipe", "cars.toml"});
  EXPECT_THAT(shown, HasSubstr("one-hot: colour (3 categories)"));
  EXPECT_THAT(shown, ContainsRegex("colour=blue +0 +1 "));
  EXPECT_EQ(json_of({"data", "show", "--recipe", "cars.toml"})["feature_names"],
            json({"colour=blue", "colour=green", "colour=red", "width"}));
}

}  // namespace
}  // namespace detent::cli::own_targets_test
