// Event files as a user gets them, and as the real TensorBoard reads them: DETENT_TENSORBOARD_PYTHON names a Python
// that has it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <map>
#include <nlohmann/json.hpp>

#include "detent/report/events/event_file.h"
#include "tests/cli/digits_folder.h"
#include "tests/cli/started.h"

namespace detent::cli::tensorboard_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kRecipe = R"(# tiny
[data]
validation = 0.2
[model]
layers = ["conv 4 3x3 stride 2", "relu", "flatten", "dropout 0.2", "linear 10"]
[train]
epochs = 3
batch = 20
precision = "fp16"
[qat]
epochs = 3
start = 1
)";
constexpr const char* kEvents = "events.out.tfevents.detent";

constexpr const char* kReader = R"(import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1])
events.Reload()
print(json.dumps({tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}))
)";

class TensorBoard : public testing::Test {
 protected:
  TensorBoard() {
    write_text(folder_ / "tiny.toml", kRecipe);
    write_digits(folder_ / "digits");
  }
  static std::vector<std::string> words(const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> all{"run", "tiny.toml", "--data", "digits", "--out", out};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  // The groups of the records' tags and their steps, in order: "float 1". A record's step is one byte here.
  std::vector<std::string> steps_in(const std::string& out) const {
    const std::string bytes = read_text(folder_ / out / kEvents);
    std::vector<std::string> steps;
    for (std::size_t at = report::whole_records(bytes, 1).bytes; at < bytes.size();) {
      const std::size_t size = report::whole_records(std::string_view(bytes).substr(at), 1).bytes;
      if (size == 0) {
        ADD_FAILURE() << "no whole record at byte " << at;
        break;
      }
      const std::string record = bytes.substr(at, size);
      const std::size_t slash = record.find('/', 23);  // behind the time and the step
      std::size_t begin = slash;
      while (std::isalpha(static_cast<unsigned char>(record[begin - 1])) != 0 || record[begin - 1] == '_') {
        --begin;
      }
      steps.push_back(record.substr(begin, slash - begin) + " " + std::to_string(static_cast<int>(record[22])));
      at += size;
    }
    return steps;
  }
  TempFolder folder_;
};

const std::vector<std::string> kSteps{"float 1", "float 2", "float 3", "qat_in_float 1", "qat 2", "qat 3", "test 6"};

TEST_F(TensorBoard, ARunWritesItsEpochs) {
  ASSERT_EQ(detent(folder_, words("plain")).status, 0);
  EXPECT_FALSE(fs::exists(folder_ / "plain" / kEvents));
  const Outcome outcome = detent(folder_, words("out", {"--tensorboard"}));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(steps_in("out"), kSteps);
  for (const std::string file : {"fp32.h5", "qat.h5", "int8.h5"}) {
    EXPECT_EQ(read_text(folder_ / "out" / file), read_text(folder_ / "plain" / file)) << file;
  }
}

TEST_F(TensorBoard, ARunThatGoesOnHasNoEpochTwice) {
  ASSERT_EQ(detent(folder_, words("whole", {"--tensorboard"})).status, 0);
  for (const int milliseconds : {60, 150, 250, 400}) {
    fs::remove_all(folder_ / "out");
    {
      Started program(folder_, words("out", {"--tensorboard", "--checkpoint-seconds", "0"}));
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
      program.send(SIGKILL);
    }
    const Outcome resumed = detent(folder_, words("out", {"--tensorboard", "--resume"}));
    ASSERT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(steps_in("out"), kSteps) << "killed after " << milliseconds << " ms";
    for (const std::string file : {"fp32.h5", "qat.h5", "int8.h5"}) {
      EXPECT_EQ(read_text(folder_ / "out" / file), read_text(folder_ / "whole" / file)) << file;
    }
  }
}

TEST_F(TensorBoard, TheRealOneReadsIt) {
  const char* const python = std::getenv("DETENT_TENSORBOARD_PYTHON");
  if (python == nullptr || *python == '\0') {
    GTEST_SKIP() << "NOT READ BY TENSORBOARD: set DETENT_TENSORBOARD_PYTHON to a Python in which it is installed";
  }
  ASSERT_EQ(detent(folder_, words("out", {"--tensorboard"})).status, 0);
  write_text(folder_ / "reader.py", kReader);
  const std::string command = shell_quoted(python) + " " + shell_quoted((folder_ / "reader.py").string()) + " " +
                              shell_quoted((folder_ / "out").string()) + " > " +
                              shell_quoted((folder_ / "read.json").string()) + " 2> " +
                              shell_quoted((folder_ / "read.err").string());
  ASSERT_EQ(std::system(command.c_str()), 0) << read_text(folder_ / "read.err");
  const nlohmann::json read = nlohmann::json::parse(read_text(folder_ / "read.json"));
  const nlohmann::json metrics = nlohmann::json::parse(read_text(folder_ / "out" / "metrics.json"));
  const std::map<std::string, std::string> groups{{"float", "float"}, {"qat in float", "qat_in_float"}, {"qat", "qat"}};
  std::map<std::string, std::size_t> seen;
  for (const nlohmann::json& epoch : metrics["epochs"]) {
    const std::string group = groups.at(epoch["phase"].get<std::string>());
    for (const std::string what : {"loss", "accuracy", "validation_loss", "validation_accuracy", "learning_rate"}) {
      const std::string tag = group + "/" + what;
      ASSERT_TRUE(read.contains(tag)) << tag;
      const nlohmann::json& point = read[tag][seen[tag]++];
      EXPECT_EQ(point[0], epoch["epoch"]) << tag;
      EXPECT_FLOAT_EQ(point[1].get<float>(), epoch[what].get<float>()) << tag;
    }
  }
  EXPECT_EQ(read["float/loss_scale"].size(), 3U);
  EXPECT_GE(read["float/loss_scale"][2][1].get<double>(), 1.0);
  EXPECT_FLOAT_EQ(read["test/int8"][0][1].get<float>(), metrics["int8"]["test_accuracy"].get<float>());
  EXPECT_EQ(read.size(), 3U * 5U + 3U + 3U) << read.dump();
}

TEST_F(TensorBoard, IsNotForLadders) {
  write_text(folder_ / "ladder.toml",
             std::string(kRecipe) + "[[rungs]]\nname = \"a\"\nset = [\"quantize.method=static\"]\n");
  const Outcome outcome = detent(folder_, {"run", "ladder.toml", "--data", "digits", "--tensorboard"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("run: --tensorboard is of one training, and ladder.toml has several"));
}

}  // namespace
}  // namespace detent::cli::tensorboard_test
