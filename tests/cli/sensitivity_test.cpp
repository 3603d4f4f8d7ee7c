#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/data/digits.h"
#include "detent/data/idx.h"
#include "tests/cli/process.h"

namespace detent::cli::sensitivity_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A float model in runs/tiny, trained by a run.
class Bits : public testing::Test {
 protected:
  Bits() {
    write_text(folder_ / "tiny.toml",
               "[model]\nlayers = [\"conv 4 3x3 stride 2\", \"relu\", \"flatten\", \"linear 10\"]\n"
               "[train]\nepochs = 2\nbatch = 32\n[quantize]\nmethod = \"none\"\n");
    data::write_idx_folder(folder_ / "digits", data::make_digits({.train = 300, .test = 60, .seed = 3}));
    const Outcome trained = detent(folder_, {"run", "tiny.toml", "--data", "digits"});
    EXPECT_EQ(trained.status, 0) << trained.err;
  }
  Outcome on_model(const std::string& command, std::vector<std::string> more) {
    std::vector<std::string> words{command, "runs/tiny/fp32.h5", "--data", "digits", "--calibration",
                                   "100",   "--images",          "200"};
    words.insert(words.end(), more.begin(), more.end());
    return detent(folder_, words);
  }
  TempFolder folder_;
};

TEST_F(Bits, SensitivityIsATableAndAChart) {
  const Outcome table = on_model("sensitivity", {"--plot", "chart.svg"});
  ASSERT_EQ(table.status, 0) << table.err;
  EXPECT_THAT(table.out, HasSubstr("200 training examples held out from calibration"));
  EXPECT_THAT(table.out, HasSubstr("\nconv1"));
  EXPECT_THAT(read_text(folder_ / "chart.svg"), HasSubstr("</svg>"));

  const Outcome outcome = on_model("sensitivity", {"--bits", "2,8", "--what", "both", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["images"], 200);
  EXPECT_EQ(json["what"], "both");
  ASSERT_EQ(json["layers"].size(), 2U);
  EXPECT_EQ(json["layers"][0]["name"], "conv1");
  EXPECT_EQ(json["layers"][0]["points"][0]["bits"], 8);
  EXPECT_EQ(json["layers"][0]["points"][1]["bytes"], 9 + 16 + 16) << "36 weights of 2 bits, 4 scales, 4 biases";
}

TEST_F(Bits, AllocationIsARecipeThatRuns) {
  fs::create_directory(folder_ / "mixed");
  const Outcome outcome = on_model("allocate", {"--budget", "15%", "-o", "mixed/bits.toml", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  const nlohmann::json& allocation = json["allocation"];
  EXPECT_LE(allocation["bytes"].get<double>(), 0.15 * allocation["float_bytes"].get<double>());
  EXPECT_TRUE(allocation["is_exact"]);
  EXPECT_LT(allocation["bits"]["fc1"], 8);
  const std::string recipe = read_text(folder_ / "mixed" / "bits.toml");
  EXPECT_EQ(json["recipe"], recipe);
  EXPECT_THAT(recipe, HasSubstr("file = \"../runs/tiny/fp32.h5\""));

  const Outcome run = detent(folder_, {"run", "mixed/bits.toml", "--data", "digits", "--out", "out", "--json"});
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("u8 x s8 of " + std::to_string(allocation["bits"]["fc1"].get<int>()) + " bits"));

  // Without a file, the recipe ends what is printed.
  const Outcome printed = on_model("allocate", {"--max-drop", "100", "--keep-ends"});
  ASSERT_EQ(printed.status, 0) << printed.err;
  EXPECT_THAT(printed.out, testing::EndsWith("\"conv1\" = \"int8 per-channel symmetric\"\n"
                                             "\"fc1\" = \"int8 per-channel symmetric\"\n"));
  EXPECT_THAT(printed.out, HasSubstr("measured: "));
}

TEST_F(Bits, RefuseWhatTheyCannotDo) {
  const auto expect_refused = [](const Outcome& outcome, const std::string& what) {
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  };
  expect_refused(on_model("sensitivity", {"--bits", "8,9"}), "--bits: expected different widths from 1 to 8");
  expect_refused(on_model("sensitivity", {"--bits", "8,"}), "--bits: expected different widths");
  expect_refused(on_model("sensitivity", {"--bits", "4,4"}), "--bits: expected different widths");
  expect_refused(on_model("sensitivity", {"--what", "weight"}), "did you mean 'weights'?");
  expect_refused(on_model("sensitivity", {"--images", "201"}), "--images: expected a whole number from 1 to 200");
  expect_refused(on_model("allocate", {}), "expected one of --budget and --max-drop");
  expect_refused(on_model("allocate", {"--budget", "10%", "--max-drop", "1"}), "expected one of");
  expect_refused(on_model("allocate", {"--budget", "10 apples"}), "write --budget 30%, 120KB or 1.5MiB");
  expect_refused(on_model("allocate", {"--budget", "100B"}), "the layers take at least ");
  expect_refused(on_model("allocate", {"--max-drop", "-1"}), "expected points of accuracy, or of R2, from 0 to 100");
  ASSERT_EQ(detent(folder_, {"quantize", "runs/tiny/fp32.h5", "--data", "digits", "--out", "q"}).status, 0);
  expect_refused(detent(folder_, {"sensitivity", "q/int8.h5", "--data", "digits"}), "expected a float model");
}

}  // namespace
}  // namespace detent::cli::sensitivity_test
