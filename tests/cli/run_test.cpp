#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/data/idx.h"
#include "detent/train/output_folder.h"
#include "tests/cli/digits_folder.h"
#include "tests/cli/process.h"

namespace detent::cli::run_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kRecipe = R"(# tiny
[model]
layers = ["conv 4 3x3 stride 2", "relu", "flatten", "linear 10"]
[train]
epochs = 1
batch = 32
[quantize]
compare_static = ["int8 per-tensor symmetric"]
)";

// 200 training and 60 test digits in the folder "digits", and a recipe that takes a second.
class Run : public testing::Test {
 protected:
  Run() {
    write_text(folder_ / "tiny.toml", kRecipe);
    write_digits(folder_ / "digits");
  }
  Outcome run(std::vector<std::string> more = {}) {
    std::vector<std::string> words{"run", "tiny.toml", "--data", "digits", "--out", "out"};
    words.insert(words.end(), more.begin(), more.end());
    return detent(folder_, words);
  }
  // A run of a bad input: status 2, one line that says `what`, no output folder.
  void expect_refused(const Outcome& outcome, const std::string& what) {
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_TRUE(outcome.err.starts_with("detent: ")) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_FALSE(fs::exists(folder_ / "out" / "fp32.h5"));
    EXPECT_FALSE(fs::exists(folder_ / "out" / "metrics.json"));
  }
  TempFolder folder_;
};

TEST_F(Run, WritesTheFilesAndTheContractOfMetrics) {
  const Outcome outcome = run({"--json", "--seed", "5", "--threads", "2"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json, nlohmann::json::parse(read_text(folder_ / "out" / "metrics.json")));
  EXPECT_EQ(json["recipe"], "tiny");
  EXPECT_EQ(json["dataset"], "digits") << "as the folder is called";
  EXPECT_EQ(json["seed"], 5);
  EXPECT_EQ(json["threads"], 2);
  EXPECT_EQ(json["fp32"]["model_bytes"], fs::file_size(folder_ / "out" / "fp32.h5"));
  EXPECT_EQ(json["int8"]["model_bytes"], fs::file_size(folder_ / "out" / "int8.h5"));
  EXPECT_TRUE(json["fp32"]["test_accuracy"].is_number());
  EXPECT_TRUE(json["fp32"]["train_seconds"].is_number());
  EXPECT_TRUE(json["qat"]["test_accuracy"].is_number());
  EXPECT_TRUE(json["qat"]["train_seconds"].is_number());
  EXPECT_TRUE(json["int8"]["test_accuracy"].is_number());
  EXPECT_GT(json["verify"]["codes_compared"], 0);
  EXPECT_EQ(json["verify"]["codes_mismatched"], 0);
  EXPECT_EQ(json["verify"]["predictions_changed"], 0);
  EXPECT_EQ(json["verify"]["codes_sha256"].get<std::string>().size(), 64U);
  EXPECT_EQ(json["check"]["passed"], true);
  EXPECT_EQ(json["check"]["failures"].size(), 0U);
  ASSERT_EQ(json["variants"].size(), 1U);
  EXPECT_EQ(json["variants"][0]["verify"]["codes_mismatched"], 0);
}

TEST_F(Run, ItsModelsServeTheOtherCommands) {
  const Outcome outcome = run();
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("nothing was checked: the recipe has no [check]"));
  const nlohmann::json metrics = nlohmann::json::parse(read_text(folder_ / "out" / "metrics.json"));

  const nlohmann::json eval =
      nlohmann::json::parse(detent(folder_, {"eval", "out/int8.h5", "--data", "digits", "--json"}).out);
  EXPECT_EQ(eval["test_accuracy"], metrics["int8"]["test_accuracy"]);
  EXPECT_EQ(eval["images"], 60);

  ASSERT_EQ(detent(folder_, {"convert", "out/qat.h5", "-o", "again.h5"}).status, 0);
  EXPECT_EQ(read_text(folder_ / "again.h5"), read_text(folder_ / "out" / "int8.h5")) << "convert gives other bytes";

  const Outcome verify = detent(folder_, {"verify", "out/qat.h5", "again.h5", "--data", "digits", "--json"});
  EXPECT_EQ(verify.status, 0) << verify.err;
  EXPECT_EQ(nlohmann::json::parse(verify.out)["codes_sha256"], metrics["verify"]["codes_sha256"]);

  const Outcome inspect = detent(folder_, {"inspect", "out/int8.h5"});
  EXPECT_EQ(inspect.status, 0) << inspect.err;
  EXPECT_THAT(inspect.out, HasSubstr("conv1"));
  EXPECT_THAT(detent(folder_, {"inspect", "out/fp32.h5"}).out, HasSubstr("largest/median"));
  EXPECT_THAT(
      nlohmann::json::parse(detent(folder_, {"inspect", "out/qat.h5", "--json"}).out)["weight_channels"][0]["name"],
      "conv1");
  EXPECT_EQ(nlohmann::json::parse(detent(folder_, {"inspect", "out/int8.h5", "--json"}).out)["kind"], "int8");

  // A static model has other codes than the one from training: verify says so, with status 1.
  const Outcome differs =
      detent(folder_, {"verify", "out/qat.h5", "out/static-int8-per-tensor.h5", "--data", "digits"});
  EXPECT_EQ(differs.status, 1);
  EXPECT_THAT(differs.err, HasSubstr("conv1: image "));

  EXPECT_EQ(detent(folder_, {"verify", "out/int8.h5", "out/qat.h5", "--data", "digits"}).status, 2);
  EXPECT_EQ(detent(folder_, {"convert", "out/fp32.h5", "-o", "x.h5"}).status, 2);
  EXPECT_FALSE(fs::exists(folder_ / "x.h5"));
}

TEST_F(Run, ACheckThatFailsIsStatusOneAndNamed) {
  const Outcome outcome = run({"--set", "check.fp32_accuracy=1.0"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("FAILED  fp32_accuracy: expected >= 1, got 0."));
  EXPECT_THAT(outcome.err, HasSubstr("detent: check failed: fp32_accuracy: expected >= 1, got 0."));
  const nlohmann::json metrics = nlohmann::json::parse(read_text(folder_ / "out" / "metrics.json"));
  EXPECT_EQ(metrics["check"]["passed"], false);
}

TEST_F(Run, StrictConversionHonoursWhatThePreparedFileKeepsInFloat) {
  const std::vector<std::string> with_batch_norm{
      "--set", R"(model.layers=["conv 4 3x3", "relu", "batchnorm", "flatten", "linear 10"])"};
  for (const bool is_kept : {true, false}) {
    std::vector<std::string> words = with_batch_norm;
    if (is_kept) {
      words.insert(words.end(), {"--set", R"(quantize.keep_float=["bn*"])", "--strict"});
    }
    const Outcome outcome = run(words);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const Outcome convert = detent(folder_, {"convert", "out/qat.h5", "-o", "strict.h5", "--strict"});
    EXPECT_EQ(convert.status, is_kept ? 0 : 2) << convert.err;
    EXPECT_THAT(is_kept ? convert.out : convert.err,
                HasSubstr(is_kept ? "kept in float as asked by 'bn*'" : "stay in float: bn1 (batch_norm)"));
  }
}

TEST_F(Run, OtherMethods) {
  EXPECT_EQ(run({"--set", "quantize.method=none", "--out", "none"}).status, 0);
  EXPECT_FALSE(fs::exists(folder_ / "none" / "int8.h5"));
  EXPECT_TRUE(nlohmann::json::parse(read_text(folder_ / "none" / "metrics.json"))["int8"].is_null());
  EXPECT_EQ(run({"--set", "quantize.method=static", "--out", "static"}).status, 0);
  EXPECT_TRUE(fs::exists(folder_ / "static" / "int8.h5"));
  EXPECT_EQ(detent(folder_, {"verify", "static/prepared.h5", "static/int8.h5", "--data", "digits"}).status, 0);
}

TEST_F(Run, BadDataIsRefused) {
  fs::rename(folder_ / "digits", folder_ / "elsewhere");
  expect_refused(run(), "digits: no such data folder or file");
  fs::create_directory(folder_ / "digits");
  expect_refused(run(), "digits");
  fs::remove_all(folder_ / "digits");
  fs::rename(folder_ / "elsewhere", folder_ / "digits");
  for (const auto& entry : fs::directory_iterator(folder_ / "digits")) {
    const std::string whole = read_text(entry.path());
    write_text(entry.path(), whole.substr(0, whole.size() / 2));
    expect_refused(run(), entry.path().filename().string());
    write_text(entry.path(), "not an IDX file");
    expect_refused(run(), entry.path().filename().string());
    write_text(entry.path(), whole);
  }
}

TEST_F(Run, DataThatAreNamedAreFoundOrRefused) {
  const Outcome lost = detent(folder_, {"run", "tiny.toml", "--out", "out", "--set", "data.name=fashion"});
  expect_refused(lost, "no data set \"fashion\"");
  fs::create_directory(folder_ / "sub");
  write_text(folder_ / "sub" / "tiny.toml", std::string("[data]\nname = \"../digits/\"\n") + kRecipe);
  const Outcome found = detent(folder_, {"run", "sub/tiny.toml", "--out", "out", "--json"});
  ASSERT_EQ(found.status, 0) << found.err;
  EXPECT_EQ(nlohmann::json::parse(found.out)["dataset"], "digits");
}

TEST_F(Run, NamesThatAreNotUtf8AreShownAsJson) {
  ASSERT_EQ(run().status, 0);
  fs::rename(folder_ / "out", folder_ / "out\xFF");
  fs::rename(folder_ / "digits", folder_ / "d\xFF");
  const std::string model = "out\xFF/int8.h5";
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"eval", model, "--data", "d\xFF", "--json"},
           {"inspect", model, "--json"},
           {"convert", "out\xFF/qat.h5", "-o", "x\xFF.h5", "--json"},
           {"verify", "out\xFF/qat.h5", model, "--data", "d\xFF", "--json"},
           {"data", "info", "d\xFF", "--json"},
           {"data", "export", "digits", "e\xFF", "--train", "10", "--test", "10", "--json"},
           {"run", "tiny.toml", "--data", "d\xFF", "--json"}}) {
    SCOPED_TRACE(words[0]);
    const Outcome outcome = detent(folder_, words);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_TRUE(nlohmann::json::accept(outcome.out)) << outcome.out;
  }
}

TEST_F(Run, BadRecipesAreRefused) {
  expect_refused(run({"--set", "train.epochs=two"}),
                 "[train] epochs: expected a whole number >= 0 and <= 1000000, got \"two\"");
  expect_refused(run({"--set", "model.layers=[\"flatten\", \"conv 3 3x3\", \"linear 10\"]"}),
                 "\"conv 3 3x3\", on [784]: ");
  expect_refused(run({"--set", "model.layers=[\"flatten\", \"linear 7\"]"}), "the data set has 10 classes");
  expect_refused(run({"--set", "quantize.keep_float=[\"fc7\"]"}), "fc7");
  const std::string norm = "model.layers=[\"flatten\", \"linear 8\", \"batchnorm\", \"linear 10\"]";
  expect_refused(run({"--set", norm, "--set", "train.batch=1"}), "the batch norm 'bn1' would get a single value");
  expect_refused(run({"--set", norm, "--set", "train.batch=199", "--set", "train.drop_last=false"}),
                 "set [train] drop_last = true");
  expect_refused(run({"--set", "train.epochs=9223372036854775807"}), "<= 1000000");
  expect_refused(
      run({"--set", "quantize.compare_static=[\"int8 per-tensor symmetric\", \"int8 per-tensor symmetric\"]"}),
      "stands twice");
}

TEST_F(Run, AnOutputFolderThatCannotBeIsRefused) {
  write_text(folder_ / "file", "");
  const Outcome outcome = run({"--out", "file/out"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("the output folder cannot be made"));
}

TEST_F(Run, ACheckThatPassesIsNamed) {
  const Outcome outcome = run({"--set", "check.fp32_accuracy=0.01"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("all checks passed"));
  const nlohmann::json metrics = nlohmann::json::parse(read_text(folder_ / "out" / "metrics.json"));
  EXPECT_EQ(metrics["check"]["checked"], nlohmann::json({"fp32_accuracy >= 0.01"}));
}

TEST_F(Run, WhatEarlierRunsLeftIsRemoved) {
  fs::create_directory(folder_ / "out");
  for (const char* name : {"prepared.h5", "static-int4-per-channel.h5", "mine.h5", ".mine.tmp"}) {
    write_text(folder_ / "out" / name, "old");
  }
  write_text(folder_ / "out" / ".fp32.h5.detent-123456-0.tmp", "half");  // as a killed run leaves it
  write_text(folder_ / "out" / ".detent.lock", "123456\n");
  ASSERT_EQ(run().status, 0);
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder_ / "out")) {
    names.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(names, testing::UnorderedElementsAre("fp32.h5", "qat.h5", "int8.h5", "static-int8-per-tensor.h5",
                                                   "metrics.json", "report.html", "flips.csv", "mine.h5", ".mine.tmp"));
}

TEST_F(Run, AFolderThatAnotherRunWritesToIsRefused) {
  fs::create_directory(folder_ / "out");
  const train::FolderLock held(folder_ / "out");
  expect_refused(run(), "out: another run (process " + std::to_string(::getpid()) + ") writes to this output folder");
  EXPECT_EQ(run({"--out", "other"}).status, 0);
}

TEST_F(Run, NumbersThatAreNotFiniteReplaceNothing) {
  fs::create_directory(folder_ / "out");
  write_text(folder_ / "out" / "fp32.h5", "old");
  const Outcome outcome = run({"--set", "data.train_examples=32", "--set", "train.learning_rate=3e38"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("detent: float training: epoch 1 of 1: "));
  EXPECT_THAT(outcome.err, HasSubstr("has training diverged? lower learning_rate"));
  EXPECT_TRUE(read_text(folder_ / "out" / "fp32.h5") == "old") << "fp32.h5 was replaced";
}

TEST_F(Run, AnInterruptLeavesWholeFiles) {
  fs::create_directory(folder_ / "out");
  write_text(folder_ / "out" / "fp32.h5", "old");
  const Outcome outcome =
      detent(folder_, {"run", "tiny.toml", "--data", "digits", "--set", "train.epochs=1000000", "--out", "out"}, {},
             "timeout --preserve-status -s INT 1 ");
  EXPECT_EQ(outcome.status, 130) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("detent: interrupted"));
  EXPECT_TRUE(read_text(folder_ / "out" / "fp32.h5") == "old") << "fp32.h5 was replaced";
  for (const auto& entry : fs::directory_iterator(folder_ / "out")) {
    const std::string name = entry.path().filename().string();
    EXPECT_TRUE(name == "fp32.h5" || name == "checkpoint.h5") << name;
  }
}

// Names of folders and recipes may be any bytes; JSON may not.
TEST_F(Run, NamesThatAreNotUtf8Work) {
  const std::string name = "caf\xE9";
  fs::rename(folder_ / "digits", folder_ / name);
  fs::rename(folder_ / "tiny.toml", folder_ / (name + ".toml"));
  const Outcome outcome = detent(folder_, {"run", name + ".toml", "--data", name, "--out", "out", "--json"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["recipe"], "caf\xEF\xBF\xBD");
  EXPECT_EQ(nlohmann::json::parse(detent(folder_, {"inspect", "out/int8.h5", "--json"}).out)["kind"], "int8");
}

// A limit on the size of files stands in for a full disk: writing fails in the same place.
TEST_F(Run, ACheckpointThatDoesNotFitOnTheDiskIsToldOnce) {
  const Outcome outcome =
      detent(folder_,
             {"run", "tiny.toml", "--data", "digits", "--out", "out", "--set", "train.epochs=2", "--set",
              "qat.epochs=2", "--set", "model.layers=[\"flatten\", \"linear 128\", \"relu\", \"linear 10\"]"},
             {}, "trap '' XFSZ; ulimit -f 1000; ");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  const std::size_t first = outcome.out.find("NO CHECKPOINTS from here on, training goes on without: write 'out/check");
  EXPECT_NE(first, std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find("NO CHECKPOINTS", first + 1), std::string::npos) << outcome.out;
  EXPECT_TRUE(fs::exists(folder_ / "out" / "metrics.json"));
}

TEST_F(Run, AFileThatDoesNotFitOnTheDiskLeavesNothing) {
  const Outcome outcome =
      detent(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "out"}, {}, "trap '' XFSZ; ulimit -f 8; ");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("detent: write 'out/fp32.h5': "));
  EXPECT_TRUE(fs::is_empty(folder_ / "out")) << "left " << fs::directory_iterator(folder_ / "out")->path();
}

TEST_F(Run, DamagedAndForeignModelsAreRefused) {
  ASSERT_EQ(run().status, 0);
  const std::string whole = read_text(folder_ / "out" / "int8.h5");
  write_text(folder_ / "cut.h5", whole.substr(0, whole.size() / 2));
  write_text(folder_ / "foreign.h5", "not HDF5");
  for (const std::string file : {"cut.h5", "foreign.h5", "missing.h5"}) {
    for (const std::string command : {"eval", "inspect"}) {
      SCOPED_TRACE(command + " " + file);
      const Outcome outcome = detent(folder_, {command, file});
      EXPECT_EQ(outcome.status, 2);
      EXPECT_EQ(outcome.out, "");
      EXPECT_THAT(outcome.err, HasSubstr(file));
      EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    }
  }
}

TEST_F(Run, DataIsShownAndExported) {
  const Outcome info = detent(folder_, {"data", "info", "digits", "--json"});
  ASSERT_EQ(info.status, 0) << info.err;
  const nlohmann::json json = nlohmann::json::parse(info.out);
  EXPECT_EQ(json["train"]["images"], 200);
  EXPECT_EQ(json["test"]["images_by_class"].size(), 10U);
  ASSERT_EQ(detent(folder_, {"data", "export", "digits", "made", "--train", "50", "--test", "20"}).status, 0);
  EXPECT_EQ(data::read_idx_folder(folder_ / "made").test.size(), 20);
}

}  // namespace
}  // namespace detent::cli::run_test
