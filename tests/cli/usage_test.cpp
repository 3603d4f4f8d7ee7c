#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/cli/process.h"

namespace detent::cli::usage_test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

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
  const nlohmann::json all = nlohmann::json::parse(detent(folder, {"completion", "words", "--json", "--", ""}).out);
  EXPECT_GE(all["words"].size(), 18U);
  for (const nlohmann::json& candidate : all["words"]) {
    const auto command = candidate["word"].get<std::string>();
    if (command == "help") {
      continue;
    }
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

TEST(Usage, HelpSaysWhatNamesMean) {
  const TempFolder folder;
  EXPECT_THAT(detent(folder, {"run", "--help"}).out,
              HasSubstr("Usage:\n  detent run RECIPE [options]\n\nNames:\n  RECIPE  A recipe: the name of one"));
  EXPECT_THAT(detent(folder, {"predict", "--help"}).out, HasSubstr("\n  FILE      Examples: pictures"));
  EXPECT_THAT(detent(folder, {"ls", "--help"}).out, testing::Not(HasSubstr("Names:")));
  EXPECT_THAT(detent(folder, {"data", "--help"}).out,
              HasSubstr("Usage:\n  detent data show [PATH] [options]\n  detent data info [PATH] [options]\n"));
}

TEST(Usage, Version) {
  const TempFolder folder;
  const Outcome outcome = detent(folder, {"--version"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(outcome.out.starts_with("detent ")) << outcome.out;
  EXPECT_EQ(detent(folder, {"version"}).out, outcome.out);
  const nlohmann::json json = nlohmann::json::parse(detent(folder, {"--version", "--json"}).out);
  EXPECT_THAT(outcome.out, HasSubstr("detent " + json["detent"].get<std::string>() + "\n"));
  EXPECT_THAT(outcome.out, HasSubstr(json["compiler"].get<std::string>()));
  for (const std::string name :
       {"oneDNN", "TBB", "Eigen", "HDF5", "nlohmann-json", "zlib", "libpng", "libcurl", "toml++", "fmt", "cxxopts"}) {
    const auto version = json["libraries"].value(name, "");
    EXPECT_THAT(version, testing::ContainsRegex("^[0-9]+\\.[0-9]+")) << name;
    EXPECT_THAT(outcome.out,
                testing::ContainsRegex("\n  " + (name == "toml++" ? "toml\\+\\+" : name) + " +" + version));
  }
  const bool has_jpeg = json["libraries"].contains("libjpeg-turbo") || json["libraries"].contains("libjpeg");
  EXPECT_TRUE(has_jpeg);
  EXPECT_EQ(detent(folder, {"--version", "now"}).status, 2);
}

TEST(Usage, VersionSaysWhichUnitsOfTheProcessorAreInUse) {
  const TempFolder folder;
  const auto version = [&](const std::string& limit) {
    return nlohmann::json::parse(detent(folder, {"--version", "--json"}, "", "unset ONEDNN_MAX_CPU_ISA; " + limit).out);
  };
  const nlohmann::json all = version("unset DETENT_MAX_CPU_ISA; ");
  EXPECT_EQ(all["in_use"]["features"], all["processor"]["features"]);
  EXPECT_EQ(all["in_use"]["class"], all["processor"]["class"]);
  EXPECT_EQ(all["in_use"]["limits"], nlohmann::json::object());
  EXPECT_GE(all["processor"]["threads"], 1);
  const nlohmann::json least = version("export DETENT_MAX_CPU_ISA=sse41; ");
  EXPECT_EQ(least["processor"], all["processor"]);
  EXPECT_EQ(least["in_use"]["class"], "baseline");
  EXPECT_EQ(least["in_use"]["features"], nlohmann::json::array());
  EXPECT_EQ(least["in_use"]["limits"], nlohmann::json({{"DETENT_MAX_CPU_ISA", "sse41"}}));
  const Outcome wrong = detent(folder, {"--version"}, "", "DETENT_MAX_CPU_ISA=avx512vnni ");
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("got \"avx512vnni\"; did you mean 'avx512_vnni'?"));
}

TEST(Usage, WrongCallsAreOneClearLine) {
  const TempFolder folder;
  expect_refused(detent(folder, {"rnu", "mnist-cnn"}),
                 "detent: unknown command 'rnu'; did you mean 'run'? `detent --help` lists the commands");
  expect_refused(detent(folder, {"mnist-cnn"}),
                 "detent: unknown command 'mnist-cnn': it is a recipe; write detent run mnist-cnn");
  expect_refused(detent(folder, {"--verison"}),
                 "detent: unknown option '--verison'; did you mean '--version'? `detent --help` lists the commands");
  expect_refused(detent(folder, {"run", "mnist-cn"}),
                 "detent: unknown recipe 'mnist-cn'; did you mean 'mnist-cnn'? `detent ls` lists the recipes; a file's "
                 "name contains '/' or ends in .toml");
  expect_refused(
      detent(folder, {"run", "mobilenet"}),
      "detent: unknown recipe 'mobilenet'; `detent ls` lists the recipes; a file's name contains '/' or ends "
      "in .toml");
  write_text(folder / "iris.csv", "a,class\n1,x\n");
  expect_refused(detent(folder, {"run", "iris.csv"}),
                 "detent: iris.csv: is no recipe, whose name ends in .toml; to train on it, write one with name = "
                 "\"iris.csv\" under [data], and a [model]");
  write_text(folder / "flowers.toml", "");
  expect_refused(
      detent(folder, {"run", "flwoers.toml"}),
      "detent: flwoers.toml: cannot be read; did you mean 'flowers.toml'? name a recipe file, or a recipe that "
      "`detent ls` lists");
  expect_refused(detent(folder, {"run", "flowers.tml"}),
                 "detent: unknown recipe 'flowers.tml'; did you mean 'flowers.toml'? `detent ls` lists the recipes; a "
                 "file's name contains '/' or ends in .toml");
  expect_refused(
      detent(folder, {"run", "MNIST-CNN"}),
      "detent: unknown recipe 'MNIST-CNN'; did you mean 'mnist-cnn'? `detent ls` lists the recipes; a file's "
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

TEST(Usage, ArgumentsOfAnyLengthAreReadOrRefused) {
  const TempFolder folder;
  const std::string long_word(120000, 'a');  // a little less than Linux passes on
  for (const std::string& option : {"--set=" + long_word, "--out=" + long_word, "--seed=" + long_word, "--" + long_word,
                                    "--" + long_word + "=1", "-" + long_word, long_word}) {
    const Outcome outcome = detent(folder, {"run", "mnist-mlp", "--data", "digits", option});
    EXPECT_EQ(outcome.status, 2) << option.substr(0, 10);
    EXPECT_THAT(outcome.err, StartsWith("detent: "));
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1);
    EXPECT_LT(outcome.err.size(), 10000U) << option.substr(0, 10);
  }
  expect_refused(detent(folder, {"rnu" + long_word}),
                 "detent: unknown command 'rnu" + long_word.substr(0, 4092) +
                     "... (115910 more bytes) `detent --help` lists the commands");
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
}  // namespace detent::cli::usage_test
