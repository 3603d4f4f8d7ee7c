#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/process.h"

namespace detent::cli {
namespace {

using testing::HasSubstr;

// Exit status 2, nothing on standard output, and this one line on standard error.
void expect_refused(const Outcome& outcome, const std::string& line) {
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, line + "\n");
}

TEST(Usage, HelpOfTheProgramAndOfEveryCommandHasAnExample) {
  const TempFolder folder;
  const Outcome overview = detent(folder, {"--help"});
  EXPECT_EQ(overview.status, 0);
  for (const std::string command : {"run", "ls", "eval", "convert", "export", "verify", "sensitivity", "allocate",
                                    "inspect", "data", "bench", "reproduce", "repeat", "report"}) {
    SCOPED_TRACE(command);
    EXPECT_THAT(overview.out, HasSubstr("\n  " + command + " "));
    const Outcome help = detent(folder, {command, "--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_EQ(help.err, "");
    EXPECT_THAT(help.out, HasSubstr("Usage:\n  detent " + command));
    EXPECT_THAT(help.out, HasSubstr("Example:\n  detent " + command));
    EXPECT_THAT(help.out, HasSubstr("--json"));
  }
}

TEST(Usage, Version) {
  const TempFolder folder;
  const Outcome outcome = detent(folder, {"--version"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(outcome.out.starts_with("detent ")) << outcome.out;
}

TEST(Usage, WrongCallsAreOneClearLine) {
  const TempFolder folder;
  expect_refused(detent(folder, {"rnu", "mnist-cnn"}),
                 "detent: unknown command 'rnu'; did you mean 'run'? `detent --help` lists the commands");
  expect_refused(detent(folder, {"--verison"}),
                 "detent: unknown option '--verison'; did you mean '--version'? `detent --help` lists the commands");
  expect_refused(detent(folder, {"run", "mnist-cn"}),
                 "detent: unknown recipe 'mnist-cn'; did you mean 'mnist-cnn'? `detent ls` lists the recipes; a file's "
                 "name contains '/' or ends in .toml");
  expect_refused(detent(folder, {"run", "mnist-cnn", "--sed", "3"}),
                 "detent: run: unknown option '--sed'; did you mean '--seed'? `detent run --help` lists the options");
  expect_refused(detent(folder, {"run", "mnist-cnn", "--seed", "two"}),
                 "detent: --seed: expected a whole number from 0 to 9007199254740992, got 'two'; write --seed 1");
  EXPECT_THAT(detent(folder, {"run", "mnist-cnn", "--threads", "0"}).err,
              HasSubstr("detent: --threads: expected a whole number from 1 to 1024, got '0'"));
  expect_refused(detent(folder, {"run", "mnist-cnn", "--set", "train.epoch=3"}),
                 "detent: --set train.epoch=3: [train] unknown key 'epoch'; did you mean 'epochs'?");
  expect_refused(detent(folder, {"run", "missing.toml"}),
                 "detent: missing.toml: cannot be read; name a recipe file, or a recipe that `detent ls` lists");
  expect_refused(detent(folder, {"data", "fecth", "mnist"}),
                 "detent: data: unknown action 'fecth'; did you mean 'fetch'? `detent data --help` lists them");
  EXPECT_EQ(detent(folder, {"run"}).status, 2);
  EXPECT_EQ(detent(folder, {"run", "a", "b"}).status, 2);
  EXPECT_EQ(detent(folder, {"run", "mnist-cnn", "--seed"}).status, 2);
  EXPECT_EQ(detent(folder, {}).status, 2);
}

TEST(Usage, LsListsTheRecipes) {
  const TempFolder folder;
  const Outcome outcome = detent(folder, {"ls"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("mnist-cnn "));
  const nlohmann::json json = nlohmann::json::parse(detent(folder, {"ls", "--json"}).out);
  EXPECT_GE(json["recipes"].size(), 3U);
}

TEST(Usage, AFullDiskUnderStandardOutputIsAnError) {
  const TempFolder folder;
  const Outcome outcome = detent(folder, {"ls", "--json"}, "> /dev/full");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("detent: standard output cannot be written: "));
}

}  // namespace
}  // namespace detent::cli
