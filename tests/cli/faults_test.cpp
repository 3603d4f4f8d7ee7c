// Commands whose writes fail, one after the other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/cli/digits_folder.h"
#include "tests/cli/process.h"
#include "tests/names_in.h"
#include "tests/places.h"

#ifdef DETENT_FAULTY_WRITES

namespace detent::cli::faults_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kRecipe = R"(# tiny
[model]
layers = ["conv 4 3x3 stride 2", "relu", "flatten", "linear 10"]
[train]
epochs = 1
batch = 50
)";

using Files = std::map<std::string, std::string>;

class FaultyCommands : public testing::Test {
 protected:
  FaultyCommands() {
    write_text(folder_ / "tiny.toml", kRecipe);
    write_digits(folder_ / "digits");
  }
  static std::vector<std::string> run(const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"run", "tiny.toml", "--data", "digits", "--out", out};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Outcome with_fault(const std::vector<std::string>& words, const std::string& fault) {
    return detent(
        folder_, words, {},
        "DETENT_FAULT=" + fault + " DETENT_FAULT_LOG=calls.txt LD_PRELOAD=" + shell_quoted(faulty_writes_path()) + " ");
  }
  // "write .fp32.h5.detent-12-0.tmp", ...: the calls of a command by which files are written.
  std::vector<std::string> calls_of(const std::vector<std::string>& words) {
    fs::remove(folder_ / "calls.txt");
    EXPECT_EQ(with_fault(words, "none:0:none").status, 0);
    std::istringstream log(read_text(folder_ / "calls.txt"));
    std::vector<std::string> calls;
    for (std::string line; std::getline(log, line);) {
      calls.push_back(line);
    }
    return calls;
  }
  Files files_in(const std::string& out) const {
    Files files;
    for (const std::string& name : names_in(folder_ / out)) {
      files[name] = read_text(folder_ / out / name);
    }
    return files;
  }
  static void expect_clear(const Outcome& outcome, const std::string& reason) {
    EXPECT_EQ(outcome.status, 2) << outcome.err;
    const std::size_t line = outcome.err.rfind("detent: write '");
    ASSERT_NE(line, std::string::npos) << outcome.err;
    EXPECT_THAT(outcome.err.substr(line), HasSubstr(reason));
    EXPECT_EQ(outcome.err.find('\n', line), outcome.err.size() - 1) << outcome.err;
  }

  // A run of seed 2 over a finished one of seed 1, with a fault in each `stride`-th call.
  void fail_in_a_run(std::size_t stride) {
    ASSERT_EQ(detent(folder_, run("old")).status, 0);
    ASSERT_EQ(detent(folder_, run("new", {"--seed", "2"})).status, 0);
    const Files old_files = files_in("old"), new_files = files_in("new");
    const std::vector<std::string> calls = calls_of(run("counted", {"--seed", "2"}));
    ASSERT_GT(calls.size(), 25U);
    for (std::size_t i = 0; i < calls.size(); i += stride) {
      SCOPED_TRACE(std::to_string(i + 1) + " of " + std::to_string(calls.size()) + ": " + calls[i]);
      fs::remove_all(folder_ / "out");
      fs::copy(folder_ / "old", folder_ / "out");
      const Outcome outcome =
          with_fault(run("out", {"--seed", "2"}), "any:" + std::to_string(i + 1) + (i % 2 == 0 ? ":ENOSPC" : ":EIO"));
      const std::string reason = i % 2 == 0 ? "No space left on device" : "Input/output error";
      if (outcome.status != 0) {
        expect_clear(outcome, reason);
      } else if (calls[i].starts_with("fsync .checkpoint") || calls[i].starts_with("rename .checkpoint")) {
        EXPECT_THAT(outcome.out,
                    HasSubstr("NO CHECKPOINTS from here on, training goes on without: write 'out/checkpo"));
        EXPECT_THAT(outcome.out, HasSubstr(reason));
      }
      const Files now = files_in("out");
      const bool is_before_anything_new = now.contains("fp32.h5") && now.at("fp32.h5") == old_files.at("fp32.h5");
      for (const auto& [name, text] : old_files) {
        EXPECT_TRUE(!is_before_anything_new || (now.contains(name) && now.at(name) == text)) << name << " was lost";
      }
      for (const auto& [name, text] : now) {
        const bool is_of_old_run = is_before_anything_new && old_files.contains(name);
        const bool is_whole = new_files.contains(name) && new_files.at(name) == text;
        EXPECT_TRUE(is_of_old_run || is_whole || name == "checkpoint.h5" || name == "metrics.json" ||
                    name == "report.html" || calls[i].starts_with("unlink"))
            << name << " is neither of the old run nor of the new one";
      }
      const std::string how = now.contains("checkpoint.h5") ? "--resume" : "--overwrite";
      ASSERT_EQ(detent(folder_, run("out", {"--seed", "2", how})).status, 0);
      const Files after = files_in("out");
      for (const std::string name : {"fp32.h5", "qat.h5", "int8.h5"}) {
        EXPECT_TRUE(after.at(name) == new_files.at(name)) << name << " differs";
      }
    }
  }
  TempFolder folder_;
};

TEST_F(FaultyCommands, RunsKeepWhatWasThere) { fail_in_a_run(6); }

using FaultyCommandsSlow = FaultyCommands;
TEST_F(FaultyCommandsSlow, RunsKeepWhatWasThereInEveryCall) { fail_in_a_run(1); }

TEST_F(FaultyCommands, SoDoAllThatWrite) {
  ASSERT_EQ(detent(folder_, run("out")).status, 0);
  const std::vector<std::pair<std::string, std::vector<std::string>>> commands{
      {"x.h5", {"convert", "out/qat.h5", "-o", "x.h5"}},
      {"plot.svg", {"sensitivity", "out/fp32.h5", "--data", "digits", "--bits", "8", "--plot", "plot.svg"}},
      {"w/int8.h5", {"quantize", "out/fp32.h5", "--method", "weight-only", "--out", "w"}},
      {"made", {"data", "export", "digits", "made", "--train", "20", "--test", "10"}}};
  for (const auto& [file, words] : commands) {
    for (const std::string fault :
         {"open:1:EACCES", "write:1:ENOSPC", "fsync:1:EIO", "close:0:EDQUOT", "rename:1:EIO"}) {
      SCOPED_TRACE(words[0] + " " + fault);
      fs::remove_all(folder_ / file);
      const Outcome outcome = with_fault(words, fault);
      expect_clear(outcome, "");
      EXPECT_TRUE(!fs::exists(folder_ / file) || (fs::is_directory(folder_ / file) && fs::is_empty(folder_ / file)));
    }
  }
}

// As `ulimit -f` does it, without a shell that ignores the signal.
TEST_F(FaultyCommands, TheLimitOnFileSizesIsAnErrorAndNoSignal) {
  const Outcome outcome = detent(folder_, run("out"), {}, "ulimit -f 8; ");
  expect_clear(outcome, "File too large; free some space or raise the limit on file sizes; this file was not made");
  EXPECT_TRUE(fs::is_empty(folder_ / "out"));
}

}  // namespace
}  // namespace detent::cli::faults_test
#endif
