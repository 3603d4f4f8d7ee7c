// `detent monitor`: the distributions that a run leaves in its models, and new data held against them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "detent/core/philox.h"
#include "detent/data/digits.h"
#include "detent/data/idx.h"
#include "detent/io/tensor_file.h"
#include "tests/cli/process.h"
#include "tests/report/well_formed.h"

namespace detent::cli::monitor_test {
namespace {

namespace fs = std::filesystem;
using testing::ContainsRegex;
using testing::HasSubstr;

constexpr const char* kRecipe = R"([model]
layers = ["conv1: conv 4 3x3 stride 2", "relu", "flatten", "fc1: linear 16", "relu", "fc2: linear 10"]
[train]
epochs = 2
batch = 50
learning_rate = 0.01
[quantize]
compare_static = ["int8 per-channel"]
)";

// A run in "out", from digits in "digits".
class Monitor : public testing::Test {
 protected:
  Monitor() : digits_(data::make_digits({.train = 1500, .test = 400, .seed = 3})) {
    write_text(folder_ / "tiny.toml", kRecipe);
    data::write_idx_folder(folder_ / "digits", digits_);
    const Outcome trained = detent(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "out"});
    EXPECT_EQ(trained.status, 0) << trained.err;
  }
  /// A folder of digits of which the test images are changed, pixel by pixel.
  void write_changed(const std::string& name, const std::function<int(int)>& change) {
    data::DataSource changed = digits_;
    changed.test.examples = digits_.test.examples.clone();
    for (std::uint8_t& pixel : changed.test.examples.data<std::uint8_t>()) {
      pixel = static_cast<std::uint8_t>(std::clamp(change(pixel), 0, 255));
    }
    data::write_idx_folder(folder_ / name, changed);
  }
  Outcome monitor(const std::string& model, const std::vector<std::string>& more) {
    std::vector<std::string> words{"monitor", model};
    words.insert(words.end(), more.begin(), more.end());
    return detent(folder_, words);
  }
  nlohmann::json monitored(const std::string& model, const std::string& data, int status) {
    const Outcome outcome = monitor(model, {"--data", data, "--json"});
    EXPECT_EQ(outcome.status, status) << model << ' ' << data << ": " << outcome.err << outcome.out;
    return nlohmann::json::parse(outcome.out);
  }
  void expect_refused(const Outcome& outcome, const std::string& what) {
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  /// The model with another text of its distributions, or without.
  void rewrite(const std::string& model, const std::string& target, const std::optional<std::string>& text) {
    TensorFile file = TensorFile::read(folder_ / model);
    ASSERT_EQ(file.attributes.erase("distributions"), 1U);
    if (text) {
      file.attributes["distributions"] = *text;
    }
    file.write(folder_ / target);
  }

  TempFolder folder_;
  data::DataSource digits_;
};

TEST_F(Monitor, FindsNoDriftInTheTestSet) {
  for (const std::string model : {"fp32.h5", "qat.h5", "int8.h5", "static-int8-per-channel.h5"}) {
    const nlohmann::json json = monitored("out/" + model, "digits", 0);
    EXPECT_EQ(json["examples"], 400) << model;
    EXPECT_EQ(json["reference_examples"], 1024) << model;
    EXPECT_TRUE(json["first_left"].is_null()) << model;
    EXPECT_EQ(json["verdict"]["passed"], true) << model;
    EXPECT_EQ(json["verdict"]["bounds"], nlohmann::json({"psi <= 0.25", "ks <= 0.2", "saturation <= before + 0.02"}));
    std::vector<std::string> names;
    for (const nlohmann::json& value : json["values"]) {
      names.push_back(value["value"]);
    }
    EXPECT_THAT(names, model == "fp32.h5"
                           ? testing::ElementsAreArray({"input", "conv1", "fc1", "fc2"})
                           : testing::ElementsAreArray({"input", "input_quantize", "conv1", "fc1", "fc2"}));
  }
  const Outcome table = monitor("out/int8.h5", {"--data", "digits"});
  EXPECT_EQ(table.status, 0);
  EXPECT_THAT(table.out, HasSubstr("400 examples against 1,024 of the training data"));
  EXPECT_THAT(table.out, HasSubstr("all 5 values are spread as on the training data"));
  EXPECT_THAT(table.out, HasSubstr("all checks passed: psi <= 0.25, ks <= 0.2, saturation <= before + 0.02"));
  const nlohmann::json qat = monitored("out/qat.h5", "digits", 0), int8 = monitored("out/int8.h5", "digits", 0);
  EXPECT_EQ(qat["values"], int8["values"]) << "what trained is what ships";
}

TEST_F(Monitor, FindsShiftedData) {
  RandomStream random(7, "noise");
  write_changed("brighter", [](int pixel) { return pixel + 76; });
  write_changed("contrast", [](int pixel) { return pixel * 13 / 10; });
  write_changed("inverted", [](int pixel) { return 255 - pixel; });
  write_changed("noisy", [&](int pixel) { return pixel + static_cast<int>(random.index(101)) - 50; });
  for (const std::string data : {"brighter", "inverted", "noisy"}) {
    for (const std::string model : {"fp32.h5", "int8.h5"}) {
      const nlohmann::json json = monitored("out/" + model, data, 1);
      EXPECT_EQ(json["first_left"], "input") << model << ' ' << data;
      EXPECT_EQ(json["values"][0]["state"], "left its range") << model << ' ' << data;
      EXPECT_EQ(json["verdict"]["passed"], false);
    }
  }
  const Outcome table = monitor("out/int8.h5", {"--data", "inverted"});
  EXPECT_EQ(table.status, 1);
  EXPECT_THAT(table.out, ContainsRegex("conv1 +[0-9.]+ +[0-9.]+ +[-+][0-9.]+ .* left its range\n"));
  EXPECT_THAT(table.out, ContainsRegex("[45] of 5 values left their range; the first, as the model runs: input\n"));
  EXPECT_THAT(table.err, HasSubstr("detent: check failed: conv1: psi: expected <= 0.25, got "));
  const nlohmann::json contrast = monitored("out/int8.h5", "contrast", 1);
  EXPECT_EQ(contrast["first_left"], "input_quantize") << "more pixels than before are as bright as can be";
}

TEST_F(Monitor, WritesAPage) {
  write_changed("inverted", [](int pixel) { return 255 - pixel; });
  const Outcome outcome = monitor("out/int8.h5", {"--data", "inverted", "--report", "drift.html"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, testing::EndsWith("report in drift.html\n"));
  const std::string html = read_text(folder_ / "drift.html");
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_THAT(html, HasSubstr("<h2>input left its range</h2>"));
  EXPECT_THAT(html, HasSubstr("conv1: training data and new data"));
  EXPECT_THAT(html, HasSubstr("detent monitor out/int8.h5 --data inverted --report drift.html"));
  EXPECT_EQ(monitor("out/int8.h5", {"--data", "digits", "--report", "drift.html", "--json"}).status, 0);
  EXPECT_THAT(read_text(folder_ / "drift.html"), HasSubstr("<h2>Nothing left its range</h2>"));
  // What the run itself says of its test set is what monitor says of it.
  const nlohmann::json run = nlohmann::json::parse(read_text(folder_ / "out/metrics.json"));
  const nlohmann::json again = monitored("out/int8.h5", "digits", 0);
  EXPECT_EQ(run["drift"]["values"], again["values"]);
  EXPECT_EQ(run["drift"]["verdict"], again["verdict"]);
  const nlohmann::json& bins = again["values"][0]["bins"];
  ASSERT_EQ(bins["before"].size(), bins["bounds"].size() + 1);
  ASSERT_EQ(bins["now"].size(), bins["before"].size());
  double sum = 0.0;
  for (const nlohmann::json& share : bins["now"]) {
    sum += share.get<double>();
  }
  EXPECT_NEAR(sum, 1.0, 1e-4);
  expect_refused(monitor("out/int8.h5", {"--data", "digits", "--report", "a.html", "--record", "b.h5"}),
                 "monitor: --record compares nothing, so there is no page; leave out --report");
  expect_refused(monitor("out/int8.h5", {"--data", "digits", "--report", "nowhere/a.html"}), "nowhere/a.html");
}

TEST_F(Monitor, TakesBoundsAndExamplesWithoutLabels) {
  const std::string images = "digits/t10k-images-idx3-ubyte.gz";
  EXPECT_EQ(monitored("out/int8.h5", images, 0)["values"], monitored("out/int8.h5", "digits", 0)["values"]);
  const Outcome strict = monitor("out/int8.h5", {"--data", images, "--max-psi", "0", "--max-ks", "0"});
  EXPECT_THAT(strict.out, HasSubstr("psi <= 0, ks <= 0"));
  write_changed("inverted", [](int pixel) { return 255 - pixel; });
  const Outcome loose =
      monitor("out/int8.h5", {"--data", "inverted", "--max-psi", "99", "--max-ks", "1", "--max-saturation", "1"});
  EXPECT_EQ(loose.status, 0) << loose.err;
  EXPECT_THAT(loose.out, HasSubstr("values moved, within their bounds; the first: input"));
  const Outcome mean = monitor("out/int8.h5", {"--data", "inverted", "--max-psi", "99", "--max-ks", "1",
                                               "--max-saturation", "1", "--max-mean-shift", "1"});
  EXPECT_EQ(mean.status, 1);
  EXPECT_THAT(mean.err, HasSubstr("input: mean shift: expected <= 1, got "));
  expect_refused(monitor("out/int8.h5", {"--data", images, "--max-ks", "2"}),
                 "--max-ks: expected a number from 0 to 1, got '2'");
  expect_refused(monitor("out/int8.h5", {"--data", "nothing"}), "nothing: no such file or folder");
}

TEST_F(Monitor, DistributionsGoFromModelToModel) {
  ASSERT_EQ(detent(folder_, {"convert", "out/qat.h5", "-o", "again.h5"}).status, 0);
  EXPECT_EQ(read_text(folder_ / "again.h5"), read_text(folder_ / "out" / "int8.h5"));
  ASSERT_EQ(detent(folder_, {"quantize", "out/fp32.h5", "--method", "dynamic", "--out", "dynamic"}).status, 0);
  const nlohmann::json dynamic = monitored("dynamic/int8.h5", "digits", 0);
  EXPECT_EQ(dynamic["values"].size(), 4U) << "as those of the float model";
  ASSERT_EQ(detent(folder_, {"quantize", "out/fp32.h5", "--data", "digits", "--out", "static"}).status, 0);
  EXPECT_EQ(monitored("static/int8.h5", "digits", 0)["values"].size(), 5U);
  for (const std::string model : {"fp32.h5", "qat.h5", "int8.h5"}) {
    const Outcome inspect = detent(folder_, {"inspect", "out/" + model});
    EXPECT_THAT(inspect.out, ContainsRegex("distributions +[0-9]+ bytes, for detent monitor\n"));
  }
}

TEST_F(Monitor, RecordsThemWhereThereAreNone) {
  rewrite("out/int8.h5", "old.h5", {});
  expect_refused(monitor("old.h5", {"--data", "digits"}),
                 "old.h5: has no distributions of its training data to compare with; detent monitor old.h5 --data "
                 "TRAINING --record NEW.h5 writes it with some");
  const std::string training = "digits/train-images-idx3-ubyte.gz";
  const Outcome recorded = monitor("old.h5", {"--data", training, "--record", "new.h5"});
  ASSERT_EQ(recorded.status, 0) << recorded.err;
  EXPECT_EQ(recorded.out, "wrote new.h5 with the distributions of 5 values on 1,024 examples\n");
  EXPECT_EQ(monitored("new.h5", "digits", 0)["values"].size(), 5U);
  EXPECT_EQ(read_text(folder_ / "new.h5"), read_text(folder_ / "out" / "int8.h5")) << "as the run's, of seed 1";

  rewrite("out/qat.h5", "old.h5", {});
  const Outcome json = monitor("old.h5", {"--data", training, "--record", "old.h5", "--json"});
  ASSERT_EQ(json.status, 0) << json.err;
  EXPECT_EQ(nlohmann::json::parse(json.out)["values"], 5);
  EXPECT_EQ(read_text(folder_ / "old.h5"), read_text(folder_ / "out" / "qat.h5"));
  expect_refused(monitor("old.h5", {"--data", training, "--record", "new.onnx"}), "write --record new.h5");
  expect_refused(monitor("old.h5", {"--data", training, "--record", "new.h5", "--max-ks", "0.1"}),
                 "--record compares nothing; leave out --max-ks");
}

TEST_F(Monitor, RefusesDamagedDistributions) {
  const std::string model = "out/int8.h5";
  rewrite(model, "bad.h5", R"({"version":1,"examples":2,"codes":{"fc1":"AgP"},"reals":{}})");
  expect_refused(monitor("bad.h5", {"--data", "digits"}), "bad.h5: distributions: \"fc1\": is cut off");
  EXPECT_EQ(detent(folder_, {"eval", "bad.h5", "--data", "digits", "--seconds", "0"}).status, 0)
      << "the model is whole";
  EXPECT_EQ(detent(folder_, {"inspect", "bad.h5"}).status, 0);
  rewrite(model, "bad.h5", R"({"version":1,"examples":2,"codes":{"fc9":"AgPIAAAAgACAAAAAAIA/AAAAAA=="},"reals":{}})");
  expect_refused(monitor("bad.h5", {"--data", "digits"}), "'fc9' is no value of codes of the model");
  rewrite(model, "bad.h5", R"({"version":9,"examples":2,"codes":{},"reals":{}})");
  expect_refused(monitor("bad.h5", {"--data", "digits"}), "were written by another version of the program");
}

}  // namespace
}  // namespace detent::cli::monitor_test
