// Runs that are killed, at random moments and within writes, and go on. DETENT_KILLS says how often; each failure names
// what it takes to see it again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "tests/cli/digits_folder.h"
#include "tests/cli/started.h"
#include "tests/names_in.h"
#include "tests/places.h"

namespace detent::cli::resume_test {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kRecipe = R"(# tiny
[data]
augment = "affine"
[model]
layers = ["conv 4 3x3 stride 2", "batchnorm", "relu", "flatten", "dropout 0.2", "linear 10"]
[train]
epochs = 3
batch = 20
[qat]
epochs = 3
freeze_batch_norm_at = 0.4
freeze_observers_at = 0.7
)";

int count_of_kills(int usual) {
  const char* const wanted = std::getenv("DETENT_KILLS");
  return wanted != nullptr ? std::atoi(wanted) : usual;
}

class Kill : public testing::Test {
 protected:
  Kill() {
    write_text(folder_ / "tiny.toml", kRecipe);
    write_digits(folder_ / "digits");
  }

  static std::vector<std::string> words(const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> all{"run", "tiny.toml", "--data", "digits", "--out", out, "--threads", "2"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  // The models of an uninterrupted run in the folder "whole", and how long it took.
  std::chrono::milliseconds run_whole() {
    const auto start = std::chrono::steady_clock::now();
    const Outcome whole = detent(folder_, words("whole"));
    EXPECT_EQ(whole.status, 0) << whole.err;
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  }
  void expect_finishes_alike(const std::string& out) {
    const Outcome resumed = detent(folder_, words(out, {"--resume"}));
    EXPECT_EQ(resumed.status, 0) << resumed.err;
    EXPECT_EQ(names_in(folder_ / out), names_in(folder_ / "whole"));
    for (const std::string file : {"fp32.h5", "qat.h5", "int8.h5"}) {
      EXPECT_TRUE(read_text(folder_ / out / file) == read_text(folder_ / "whole" / file)) << file << " differs";
    }
  }
  // Each run is killed up to three times, with checkpoints after each step or at the ends of phases alone.
  void kill_at_random_moments(int count) {
    const std::chrono::milliseconds whole = run_whole();
    std::mt19937 random(1);
    for (int kill = 0; kill < count;) {
      fs::remove_all(folder_ / "out");
      const std::string often = kill % 2 == 0 ? "0" : "30";
      std::string moments;
      for (int cut = 0; cut < 1 + kill % 3; ++cut) {
        const auto moment = std::chrono::milliseconds(random() % static_cast<unsigned>(whole.count() + 1));
        moments.append(" ").append(std::to_string(moment.count()));
        Started program(folder_, words("out", {"--resume", "--checkpoint-seconds", often}));
        std::this_thread::sleep_for(moment);
        program.send(SIGKILL);
        ASSERT_TRUE(program.comes([&] { return program.has_ended(); }));
      }
      kill += 1 + kill % 3;
      SCOPED_TRACE("a checkpoint every " + often + " s, killed after ms:" + moments);
      expect_finishes_alike("out");
    }
  }
#ifdef DETENT_FAULTY_WRITES
  // Killed in every `stride`-th of the calls by which files are written, up to `count` times.
  void kill_in_writes(int count) {
    run_whole();
    const std::string often = "DETENT_FAULT_LOG=calls.txt LD_PRELOAD=" + shell_quoted(faulty_writes_path()) + " ";
    ASSERT_EQ(detent(folder_, words("counted", {"--checkpoint-seconds", "0"}), {}, often).status, 0);
    const std::string log = read_text(folder_ / "calls.txt");
    const auto calls = static_cast<int>(std::count(log.begin(), log.end(), '\n'));
    ASSERT_GT(calls, 50) << log;
    for (int i = 0; i < count; ++i) {
      const int call = 1 + i * calls / count;
      SCOPED_TRACE("killed in call " + std::to_string(call) + " of " + std::to_string(calls));
      fs::remove_all(folder_ / "out");
      const std::string fault = "DETENT_FAULT=any:" + std::to_string(call) + ":KILL " + often;
      EXPECT_NE(detent(folder_, words("out", {"--checkpoint-seconds", "0"}), {}, fault).status, 0);
      expect_finishes_alike("out");
    }
  }
#endif
  TempFolder folder_;
};

TEST_F(Kill, AtAnyMomentLosesNothing) { kill_at_random_moments(count_of_kills(6)); }

class KillSlow : public Kill {};
TEST_F(KillSlow, AtAnyMomentLosesNothing) { kill_at_random_moments(count_of_kills(200)); }

#ifdef DETENT_FAULTY_WRITES
TEST_F(Kill, WithinAWriteLosesNothing) { kill_in_writes(count_of_kills(6)); }
TEST_F(KillSlow, WithinAWriteLosesNothing) { kill_in_writes(count_of_kills(200)); }
#endif

TEST_F(Kill, CtrlCSavesAndSaysHowToGoOn) {
  run_whole();
  const std::string quoted = "out of 'this'";
  for (const int signal : {SIGINT, SIGTERM}) {
    fs::remove_all(folder_ / quoted);
    // Long enough to be interrupted: the same recipe, but for epochs.
    const std::vector<std::string> command = words(quoted, {"--set", "train.epochs=100000"});
    fs::remove(folder_ / "stderr.txt");  // of the program before
    Started program(folder_, command);
    ASSERT_TRUE(program.comes([&] { return program.err().find("epoch 2/") != std::string::npos; })) << program.err();
    program.send(signal);
    ASSERT_TRUE(program.comes([&] { return program.has_ended(); }));
    ASSERT_TRUE(WIFEXITED(program.result()));
    EXPECT_EQ(WEXITSTATUS(program.result()), 130);
    const std::string how =
        "detent: interrupted, and saved; to go on: detent run tiny.toml --data digits --out 'out of '\\''this'\\''' "
        "--threads 2 --set train.epochs=100000 --resume\n";
    EXPECT_TRUE(program.err().ends_with(how)) << program.err();
    EXPECT_THAT(names_in(folder_ / quoted), ElementsAre("checkpoint.h5"));
  }
  const Outcome unasked = detent(folder_, words(quoted));
  EXPECT_EQ(unasked.status, 2);
  EXPECT_EQ(unasked.err, "detent: " + quoted +
                             ": holds a run that was cut off; go on with it by --resume, start anew "
                             "with --overwrite, or name another folder with --out\n");
  const Outcome other = detent(folder_, words(quoted, {"--resume"}));
  EXPECT_EQ(other.status, 2);
  EXPECT_THAT(other.err, HasSubstr("which was cut off: overrides --set train.epochs=100000, not none; "));
  EXPECT_EQ(std::count(other.err.begin(), other.err.end(), '\n'), 1) << other.err;
  const Outcome both = detent(folder_, words(quoted, {"--resume", "--overwrite"}));
  EXPECT_EQ(both.status, 2);
  EXPECT_THAT(both.err, HasSubstr("--resume and --overwrite: expected one of them"));
  ASSERT_EQ(detent(folder_, words(quoted, {"--overwrite"})).status, 0);
  EXPECT_EQ(names_in(folder_ / quoted), names_in(folder_ / "whole"));
}

TEST_F(Kill, AFinishedRunHasNothingLeftToDo) {
  run_whole();
  const Outcome text = detent(folder_, words("whole", {"--resume"}));
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("the run is finished: nothing is left to do\n  files in whole\n"));
  const Outcome json = detent(folder_, words("whole", {"--resume", "--json"}));
  EXPECT_EQ(nlohmann::json::parse(json.out), nlohmann::json::parse(read_text(folder_ / "whole/metrics.json")));
  const Outcome again = detent(folder_, words("whole"));
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("whole: the finished run of tiny, seed 1, in this folder is replaced as a whole"));
}

}  // namespace
}  // namespace detent::cli::resume_test
