// What commands must not overwrite, and where their output goes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/data/digits.h"
#include "detent/data/idx.h"
#include "tests/cli/process.h"

namespace detent::cli::targets_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// A run's files in "out", from digits in "digits".
class Targets : public testing::Test {
 protected:
  Targets() {
    write_text(folder_ / "tiny.toml", R"([model]
layers = ["flatten", "linear 10"]
[train]
epochs = 1
batch = 50
)");
    data::write_idx_folder(folder_ / "digits", data::make_digits({.train = 100, .test = 20, .seed = 3}));
    EXPECT_EQ(detent(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "out"}).status, 0);
  }
  // Status 2, one line that says `what`, nothing on standard output.
  void expect_refused(const std::vector<std::string>& words, const std::string& what) {
    const Outcome outcome = detent(folder_, words);
    SCOPED_TRACE(testing::PrintToString(words));
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  TempFolder folder_;
};

TEST_F(Targets, ConvertNeverOverwritesItsSource) {
  const std::string qat = read_text(folder_ / "out" / "qat.h5");
  fs::create_symlink(folder_ / "out" / "qat.h5", folder_ / "link.h5");
  fs::create_hard_link(folder_ / "out" / "qat.h5", folder_ / "hard.h5");
  for (const std::string target : {"out/qat.h5", "./out/../out/qat.h5", "link.h5", "hard.h5"}) {
    expect_refused({"convert", "out/qat.h5", "-o", target}, "is the model that is converted, out/qat.h5");
    EXPECT_EQ(read_text(folder_ / "out" / "qat.h5"), qat) << target;
  }
  expect_refused({"convert", "link.h5", "-o", "out/qat.h5"}, "is the model that is converted, link.h5");
  EXPECT_EQ(detent(folder_, {"convert", "link.h5", "-o", "other.h5"}).status, 0);
  EXPECT_EQ(read_text(folder_ / "other.h5"), read_text(folder_ / "out" / "int8.h5"));
}

TEST_F(Targets, ConvertWritesNoOtherFormatThanItsNameSays) {
  for (const std::string target : {"m.onnx", "m", "m.h5.bak", "m.tflite", ".h5"}) {
    expect_refused({"convert", "out/qat.h5", "-o", target}, "expected a name that ends in .h5 or .hdf5");
    EXPECT_FALSE(fs::exists(folder_ / target));
  }
  EXPECT_EQ(detent(folder_, {"convert", "out/qat.h5", "-o", "m.hdf5"}).status, 0);
}

TEST_F(Targets, ExportNeverOverwritesADataSet) {
  const std::string before = read_text(folder_ / "digits" / "train-images-idx3-ubyte.gz");
  expect_refused({"data", "export", "digits", "digits", "--train", "20", "--test", "10"}, "has a data set already");
  EXPECT_EQ(read_text(folder_ / "digits" / "train-images-idx3-ubyte.gz"), before);
}

TEST_F(Targets, InspectCountsWeightsAndBiasesOfAnyType) {
  for (const std::string file : {"fp32", "qat", "int8"}) {
    const std::string path = "out/" + file + ".h5";
    const nlohmann::json json = nlohmann::json::parse(detent(folder_, {"inspect", path, "--json"}).out);
    EXPECT_EQ(json["parameters"], 784 * 10 + 10) << file;
    EXPECT_EQ(json["model_bytes"], fs::file_size(folder_ / path)) << file;
    EXPECT_THAT(detent(folder_, {"inspect", path}).out, HasSubstr(file + " model, 7,850 parameters, ")) << file;
  }
}

TEST_F(Targets, TablesFitAHundredColumns) {
  const std::vector<std::vector<std::string>> commands{
      {"run", "tiny.toml", "--data", "digits", "--out", "wide", "--profile"},
      {"run", "mnist-lenet", "--data", "digits", "--out", "lenet", "--set", "train.epochs=1", "--set", "qat.epochs=1",
       "--set", "train.batch=50", "--profile"},
      {"inspect", "out/int8.h5"},
      {"inspect", "lenet/qat.h5"},
      {"inspect", "lenet/int8.h5"},
      {"convert", "lenet/qat.h5", "-o", "m.h5"},
      {"verify", "lenet/qat.h5", "lenet/int8.h5", "--data", "digits"},
      {"bench", "step", "--model", "mnist-lenet", "--batch", "4", "--runs", "2", "--profile"},
      {"data", "info", "digits"},
      {"ls"},
      {"--help"}};
  for (const std::vector<std::string>& words : commands) {
    const Outcome outcome = detent(folder_, words);
    EXPECT_NE(outcome.out, "") << outcome.err;
    std::istringstream lines(outcome.out);
    for (std::string line; std::getline(lines, line);) {
      if (line.find("u8 x s8") != std::string::npos) {
        continue;  // of the ledger, which tells all in one line
      }
      EXPECT_LE(line.size(), 100U) << testing::PrintToString(words) << ": " << line;
    }
  }
}

// A file that is opened when a standard stream is closed gets its number: nothing that is printed may end in it.
TEST_F(Targets, AClosedStreamIsNoFile) {
  const std::string whole = read_text(folder_ / "out" / "int8.h5");
  for (const std::string closed : {">&- 2>&-", "<&- >&- 2>&-", "<&- 2>&-"}) {
    const Outcome outcome = detent(folder_, {"convert", "out/qat.h5", "-o", "m.h5"}, closed);
    EXPECT_EQ(outcome.status, closed.find(">&- 2") != std::string::npos ? 2 : 0) << closed;
    EXPECT_EQ(read_text(folder_ / "m.h5"), whole) << closed;
  }
  const Outcome run = detent(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "again"}, "<&- 2>&-");
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(read_text(folder_ / "again" / "int8.h5"), whole);
  const Outcome closed = detent(folder_, {"ls"}, ">&-");
  EXPECT_EQ(closed.status, 2);
  EXPECT_THAT(closed.err, HasSubstr("standard output cannot be written"));
}

TEST_F(Targets, WithJsonStandardOutputIsOneObjectOrNothing) {
  const std::vector<std::vector<std::string>> failing{{"eval", "missing.h5", "--json"},
                                                      {"inspect", "tiny.toml", "--json"},
                                                      {"data", "info", "nowhere", "--json"},
                                                      {"convert", "out/fp32.h5", "-o", "m.h5", "--json"},
                                                      {"verify", "out/int8.h5", "out/qat.h5", "--json"},
                                                      {"eval", "out/checkpoint.h5", "--json"},
                                                      {"bench", "step", "--model", "out/int8.h5", "--json"},
                                                      {"run", "tiny.toml", "--data", "nowhere", "--json"}};
  for (const std::vector<std::string>& words : failing) {
    expect_refused(words, "detent: ");
  }
  const Outcome outcome = detent(
      folder_, {"run", "tiny.toml", "--data", "digits", "--out", "o", "--json", "--set", "check.fp32_accuracy=1.0"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["check"]["passed"], false);
}

TEST_F(Targets, EmptyAndOddTextsAreOneClearLine) {
  expect_refused({"run", "", "--data", "digits"}, "detent: run: RECIPE: got an empty text; see detent run --help");
  expect_refused({"run", "tiny.toml", "--out", ""}, "detent: run: --out: got an empty text");
  expect_refused({"run", "tiny.toml", "--data="}, "detent: run: --data: got an empty text");
  expect_refused({"convert", "out/qat.h5", "-o", ""}, "detent: convert: --output: got an empty text");
  expect_refused({"data", "export", "digits", ""},
                 "data: show [PATH] | info [PATH] | fetch mnist | export digits DIR: got an empty");
  expect_refused({"run", "a\nb\x1b[31m"}, "unknown recipe 'a\\x0ab\\x1b[31m'");
  expect_refused({"bench", "step", "--model", "mnist-mlp", "--runs", "0"}, "got '0'; write --runs 1");
  expect_refused({"bench", "step", "--model", "out/int8.h5"}, "expected a recipe, got the model file 'out/int8.h5'");
  expect_refused({"data", "info", "digits", "--train", "20"}, "data info: --train is an option of detent data export");
  expect_refused({"convert", "out/qat.h5", "--out", "m.h5"}, "unknown option '--out'; did you mean '--output'?");
  expect_refused({"--verison"}, "unknown option '--verison'; did you mean '--version'?");
  expect_refused({"sing"}, "unknown command 'sing'; `detent --help` lists the commands");
  expect_refused({"run", std::string(300, 'x') + ".toml"}, ".toml: cannot be read");
  EXPECT_EQ(detent(folder_, {"help", "run"}).out, detent(folder_, {"run", "--help"}).out);
}

}  // namespace
}  // namespace detent::cli::targets_test
