#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "detent/data/digits.h"
#include "detent/data/idx.h"
#include "tests/cli/started.h"

namespace detent::cli::interrupt_test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::HasSubstr;

std::vector<std::string> files_of(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && !entry.path().filename().string().starts_with("std")) {
      names.push_back(fs::relative(entry.path(), folder).string());
    }
  }
  return names;
}

// Sends `signal` a little after the program has printed `text`, and expects its orderly end: status 130, one line that
// says so, or how to go on with a run, and no temporary file.
void expect_interruptible(const TempFolder& folder, const std::vector<std::string>& words, const std::string& text = {},
                          int signal = SIGINT) {
  SCOPED_TRACE(testing::PrintToString(words));
  const std::vector<std::string> before = files_of(folder.path());
  Started program(folder, words);
  ASSERT_TRUE(program.comes([&] { return program.has_ended() || program.out().find(text) != std::string::npos; }));
  std::this_thread::sleep_for(400ms);
  ASSERT_FALSE(program.has_ended()) << "too short to be interrupted: " << program.err();
  program.send(signal);
  ASSERT_TRUE(program.comes([&] { return program.has_ended(); })) << "still works long after the signal";
  ASSERT_TRUE(WIFEXITED(program.result())) << "ended by signal " << WTERMSIG(program.result());
  EXPECT_EQ(WEXITSTATUS(program.result()), 130);
  EXPECT_THAT(
      program.err(),  // an epoch may end with the step that is finished
      testing::AnyOf("detent: interrupted; no file was left half-written\n",
                     testing::MatchesRegex("((float|qat) epoch [^\n]*\n)?detent: interrupted, and saved; to go on: "
                                           "detent run [^\n]* --resume\n")));
  const std::vector<std::string> after = files_of(folder.path());
  EXPECT_THAT(after, testing::IsSupersetOf(before));
  EXPECT_THAT(after, testing::Each(testing::Not(HasSubstr(".tmp")))) << "a temporary file was left";
}

// A step of 40,000 images takes minutes.
constexpr const char* kHugeStep = R"([data]
name = "digits"
[model]
layers = ["conv 32 5x5", "relu", "conv 64 5x5", "relu", "maxpool 2", "flatten", "linear 10"]
[train]
epochs = 1
batch = 4000
[qat]
epochs = 1
)";

TEST(Interrupt, WhileDigitsAreDrawn) {
  const TempFolder folder;
  expect_interruptible(folder, {"data", "export", "digits", "made", "--train", "3000000"});
  expect_interruptible(folder, {"data", "export", "digits", "made", "--train", "3000000", "--threads", "1"});
  expect_interruptible(folder, {"data", "export", "digits", "made", "--train", "3000000"}, "", SIGTERM);
}

TEST(Interrupt, WithinAStep) {
  const TempFolder folder;
  write_text(folder / "huge.toml", kHugeStep);
  data::write_idx_folder(folder / "digits", data::make_digits({.train = 4000, .test = 10}));
  for (const char* precision : {"fp32", "bf16", "fp16"}) {
    expect_interruptible(folder,
                         {"run", "huge.toml", "--data", "digits", "--set", std::string("train.precision=") + precision},
                         "total");
    std::filesystem::remove_all(folder / "runs");
  }
  expect_interruptible(folder, {"run", "huge.toml", "--data", "digits", "--set", "train.epochs=0"}, "total");
}

TEST(Interrupt, Benchmarks) {
  const TempFolder folder;
  write_text(folder / "huge.toml", kHugeStep);
  for (const char* precision : {"fp32", "qat"}) {
    expect_interruptible(folder, {"bench", "step", "--model", "huge.toml", "--precision", precision, "--runs", "1000"});
  }
  for (const char* precision : {"fp32", "int8"}) {
    expect_interruptible(folder, {"bench", "infer", "--model", "huge.toml", "--precision", precision, "--batch", "4000",
                                  "--runs", "100000"});
  }
}

TEST(Interrupt, TheSameSignalTwiceAtOnceIsOneRequest) {
  const TempFolder folder;
  Started program(folder, {"data", "export", "digits", "made", "--train", "3000000", "--threads", "1"});
  std::this_thread::sleep_for(400ms);
  program.send(SIGINT);
  std::this_thread::sleep_for(5ms);
  program.send(SIGINT);
  ASSERT_TRUE(program.comes([&] { return program.has_ended(); }));
  ASSERT_TRUE(WIFEXITED(program.result())) << "killed by signal " << WTERMSIG(program.result());
  EXPECT_EQ(WEXITSTATUS(program.result()), 130);
}

// Of one thread, which takes both signals: of several, another may end the program in order before the second is taken.
TEST(Interrupt, TheSecondSignalKillsAtOnce) {
  const TempFolder folder;
  Started program(folder, {"data", "export", "digits", "made", "--train", "3000000", "--threads", "1"});
  std::this_thread::sleep_for(400ms);
  program.send(SIGSTOP);
  program.send(SIGINT);
  program.send(SIGTERM);
  program.send(SIGCONT);
  ASSERT_TRUE(program.comes([&] { return program.has_ended(); }));
  ASSERT_TRUE(WIFSIGNALED(program.result())) << "exit status " << WEXITSTATUS(program.result());
  EXPECT_EQ(WTERMSIG(program.result()), SIGTERM);
}

}  // namespace
}  // namespace detent::cli::interrupt_test
