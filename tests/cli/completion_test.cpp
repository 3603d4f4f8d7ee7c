#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/cli/process.h"
#include "tests/places.h"

namespace detent::cli::completion_test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Words = std::vector<std::string>;

class Completion : public testing::Test {
 protected:
  Completion() {
    for (const char* const folder : {"runs/mine", "my data", "photos"}) {
      std::filesystem::create_directories(folder_ / folder);
    }
    for (const char* const file : {"my.toml", "fp32.h5", "runs/mine/int8.h5", "runs/mine/metrics.json", "iris.csv",
                                   ".hid.h5", "a b.h5", "sensitivity.svg"}) {
      write_text(folder_ / file, "");
    }
  }
  // What the last word may become.
  Words words(const Words& line) const {
    Words all{"completion", "words", "--json", "--"};
    all.insert(all.end(), line.begin(), line.end());
    const Outcome outcome = detent(folder_, all);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    Words found;
    const nlohmann::json json = nlohmann::json::parse(outcome.out);
    for (const nlohmann::json& candidate : json["words"]) {
      found.push_back(candidate["word"]);
    }
    return found;
  }
  TempFolder folder_;
};

TEST_F(Completion, OfCommands) {
  EXPECT_THAT(words({""}), AllOf(Contains("run"), Contains("eval"), Contains("completion"), Contains("help"),
                                 Not(Contains("--version"))));
  EXPECT_THAT(words({"re"}), ElementsAre("reproduce", "repeat", "report"));
  EXPECT_THAT(words({"-"}), ElementsAre("--help", "--version"));
  EXPECT_THAT(words({"help", "insp"}), ElementsAre("inspect"));
  EXPECT_THAT(words({"nothing", ""}), IsEmpty());
  EXPECT_THAT(words({"--version", "--j"}), ElementsAre("--json"));
}

TEST_F(Completion, OfNames) {
  EXPECT_THAT(words({"run", "mnist-c"}), ElementsAre("mnist-cnn"));
  EXPECT_THAT(words({"run", "m"}), AllOf(Contains("mnist-mlp"), Contains("my.toml"), Contains("my data/")));
  EXPECT_THAT(words({"run", "--seed", "3", "mnist-c"}), ElementsAre("mnist-cnn"));
  EXPECT_THAT(words({"run", "--", "mnist-c"}), ElementsAre("mnist-cnn"));
  EXPECT_THAT(words({"run", "mnist-cnn", "mnist-c"}), IsEmpty()) << "one recipe is all that run takes";
  EXPECT_THAT(words({"eval", ""}), ElementsAre("a b.h5", "fp32.h5", "my data/", "photos/", "runs/"));
  EXPECT_THAT(words({"eval", "."}), ElementsAre(".hid.h5"));
  EXPECT_THAT(words({"eval", "runs/mine/"}), ElementsAre("runs/mine/int8.h5"));
  EXPECT_THAT(words({"eval", "fp32.h5", "runs/m"}), ElementsAre("runs/mine/"));
  EXPECT_THAT(words({"predict", "fp32.h5", "a.png", "b.png", "ir"}), ElementsAre("iris.csv"));
  EXPECT_THAT(words({"report", "runs/mine", "p"}), ElementsAre("photos/"));
  EXPECT_THAT(words({"bench", ""}), ElementsAre("step", "infer", "calibrate"));
  EXPECT_THAT(words({"data", ""}), ElementsAre("show", "info", "fetch", "export"));
  EXPECT_THAT(words({"data", "fetch", ""}), ElementsAre("mnist"));
  EXPECT_THAT(words({"data", "show", "i"}), ElementsAre("iris.csv"));
  EXPECT_THAT(words({"reproduce", "le"}), ElementsAre("lenet"));
  EXPECT_THAT(words({"eval", "nowhere/"}), IsEmpty());
}

TEST_F(Completion, OfOptionsAndTheirValues) {
  EXPECT_THAT(words({"run", "mnist-cnn", "--se"}), ElementsAre("--seed", "--set"));
  EXPECT_THAT(words({"run", "mnist-cnn", ""}), AllOf(Contains("--out"), Contains("--help")));
  EXPECT_THAT(words({"run", "--strict", "--str"}), IsEmpty()) << "it was given";
  EXPECT_THAT(words({"run", "mnist-cnn", "--out", "run"}), ElementsAre("runs/"));
  EXPECT_THAT(words({"run", "mnist-cnn", "--out=ru"}), ElementsAre("--out=runs/"));
  EXPECT_THAT(words({"run", "mnist-cnn", "--seed", ""}), IsEmpty()) << "a number";
  EXPECT_THAT(words({"quantize", "fp32.h5", "--method", ""}),
              ElementsAre("static", "qat", "dynamic", "weight-only", "bf16"));
  EXPECT_THAT(words({"convert", "-o", "f"}), ElementsAre("fp32.h5"));
  EXPECT_THAT(words({"sensitivity", "fp32.h5", "--plot", ""}),
              ElementsAre("my data/", "photos/", "runs/", "sensitivity.svg"));
  EXPECT_THAT(words({"run", "my.toml", "--set", "train.op"}), ElementsAre("train.optimizer="));
  EXPECT_THAT(words({"run", "my.toml", "--set", "train.optimizer=a"}),
              ElementsAre("train.optimizer=adam", "train.optimizer=adamw"));
  EXPECT_THAT(words({"run", "my.toml", "--set=qat.backward="}),
              ElementsAre("--set=qat.backward=bf16", "--set=qat.backward=fp32"));
  EXPECT_THAT(words({"run", "my.toml", "--set", "check.m"}), Contains("check.max_drop="));
}

TEST_F(Completion, ALineAWordForScripts) {
  const Outcome outcome = detent(folder_, {"completion", "words", "--", "run", "mnist-c"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_TRUE(outcome.out.starts_with("mnist-cnn\tmnist-cnn: ")) << outcome.out;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 1) << outcome.out;
}

TEST_F(Completion, RefusesOtherShells) {
  EXPECT_EQ(detent(folder_, {"completion", "bahs"}).err,
            "detent: completion: unknown shell 'bahs'; did you mean 'bash'? expected bash, zsh or fish\n");
  EXPECT_EQ(detent(folder_, {"completion", "tcsh", "x"}).status, 2);
  EXPECT_EQ(detent(folder_, {"completion", "bash", "zsh"}).status, 2);
  EXPECT_EQ(detent(folder_, {"completion"}).status, 2);
}

TEST_F(Completion, ScriptsAreThoseThatAreInstalled) {
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    const std::string text = detent(folder_, {"completion", shell}).out;
    EXPECT_EQ(text, read_text(source_path(std::string("cli/help/detent.").append(shell)))) << shell;
    EXPECT_THAT(text, HasSubstr("completion words -- "));
  }
}

// Bash itself, as it calls the function: the words of the line as bash cuts them, and which of them is completed.
class Bash : public Completion {
 protected:
  Words replies(const Words& cut) {
    const std::filesystem::path program = program_path();
    std::ostringstream script;
    script << "cd " << shell_quoted(folder_.path().string())
           << "; PATH=" << shell_quoted(program.parent_path().string())
           << ":$PATH\nsource <(detent completion bash)\ncomplete -p detent > complete.txt\nCOMP_WORDS=(";
    for (const std::string& word : cut) {
      script << ' ' << shell_quoted(word);
    }
    script << ")\nCOMP_CWORD=" << cut.size() - 1 << "\n_detent\nprintf '%s\\n' \"${COMPREPLY[@]}\" > replies.txt\n";
    write_text(folder_ / "script.bash", script.str());
    std::ostringstream command;
    command << "bash --norc --noprofile " << shell_quoted((folder_ / "script.bash").string()) << " 2> "
            << shell_quoted((folder_ / "errors.txt").string());
    EXPECT_EQ(std::system(command.str().c_str()), 0);
    EXPECT_EQ(read_text(folder_ / "errors.txt"), "");
    Words found;
    std::istringstream lines(read_text(folder_ / "replies.txt"));
    for (std::string line; std::getline(lines, line);) {
      if (!line.empty()) {
        found.push_back(line);
      }
    }
    return found;
  }
};

TEST_F(Bash, CompletesWhatItCuts) {
  EXPECT_THAT(replies({"detent", "re"}), ElementsAre("reproduce", "repeat", "report"));
  EXPECT_EQ(read_text(folder_ / "complete.txt"), "complete -o default -F _detent detent\n");
  EXPECT_THAT(replies({"detent", "run", "mnist-c"}), ElementsAre("mnist-cnn"));
  EXPECT_THAT(replies({"detent", "run", "mnist-cnn", "--se"}), ElementsAre("--seed", "--set"));
  EXPECT_THAT(replies({"detent", "run", "mnist-cnn", ""}), Contains("--threads"));
  EXPECT_THAT(replies({"detent", "eval", "run"}), ElementsAre("runs/"));
  EXPECT_THAT(replies({"detent", "eval", "a"}), ElementsAre("a\\ b.h5")) << "as the shell takes it";
  // "--out=ru" and "--set train.optimizer=a", cut at '='. What bash replaces is what stands behind it.
  EXPECT_THAT(replies({"detent", "run", "my.toml", "--out", "=", "ru"}), ElementsAre("runs/"));
  EXPECT_THAT(replies({"detent", "run", "my.toml", "--set", "train.optimizer", "=", "a"}),
              ElementsAre("adam", "adamw"));
  EXPECT_THAT(replies({"detent", "run", "my.toml", "--set", "train.optimizer", "="}),
              ElementsAre("sgd", "adam", "adamw"));
  EXPECT_THAT(replies({"detent", "run", "my.toml", "--set", "=", "qat.backward", "="}), ElementsAre("bf16", "fp32"));
  EXPECT_THAT(replies({"detent", "run", "my.toml", "--set", "train.op"}), ElementsAre("train.optimizer="));
  EXPECT_THAT(replies({"detent", "nothing", ""}), IsEmpty());
}

}  // namespace
}  // namespace detent::cli::completion_test
