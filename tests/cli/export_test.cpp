// Models for other programs, as a user types it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/digits_folder.h"
#include "tests/cli/process.h"

namespace detent::cli::export_test {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class ExportCommand : public testing::Test {
 protected:
  ExportCommand() {
    write_text(folder_ / "tiny-net.toml",
               "[model]\nlayers = [\"conv 4 3x3 stride 2\", \"relu\", \"maxpool 2\", \"flatten\", \"linear 10\"]\n"
               "[train]\nepochs = 1\nbatch = 32\n[qat]\nepochs = 1\n");
    write_digits(folder_ / "digits");
    const Outcome trained = detent(folder_, {"run", "tiny-net.toml", "--data", "digits", "--out", "out"});
    EXPECT_EQ(trained.status, 0) << trained.err;
  }
  Outcome export_c(std::vector<std::string> more = {}, const std::string& model = "out/int8.h5") {
    std::vector<std::string> words{"export", model, "--format", "c", "-o", "c"};
    words.insert(words.end(), more.begin(), more.end());
    return detent(folder_, words);
  }
  /// What the self-test prints, or the compiler.
  std::string self_test(const std::string& name) {
    const std::string command = "cd " + shell_quoted((folder_.path() / "c").string()) +
                                " && ( cc -std=c99 -Wall -Wextra -Werror -O1 " + name + ".c " + name +
                                "_test.c -o it && ./it ) > said.txt 2>&1";
    const int status = std::system(command.c_str());
    return read_text(folder_.path() / "c" / "said.txt") + (status == 0 ? "" : "FAILED");
  }
  TempFolder folder_;
};

TEST_F(ExportCommand, WritesCThatGivesTheCodesOfTheTestSet) {
  const Outcome outcome = export_c({"--data", "digits", "--examples", "60"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("wrote c/tiny_net.h, c/tiny_net.c and c/tiny_net_test.c\n"));
  EXPECT_THAT(outcome.out, HasSubstr("try it: cc -std=c99 -O2 c/tiny_net.c c/tiny_net_test.c"));
  EXPECT_EQ(self_test("tiny_net"), "tiny_net: 0 of 600 codes of 60 examples differ\n");
  EXPECT_THAT(read_text(folder_.path() / "c" / "tiny_net.h"),
              HasSubstr("void tiny_net_run_pixels(const uint8_t *pixels"));

  const Outcome fixed = export_c({"--requantize", "fixed", "--name", "integers", "--json"});
  ASSERT_EQ(fixed.status, 0) << fixed.err;
  const json said = json::parse(fixed.out);
  EXPECT_EQ(said["name"], "integers");
  EXPECT_EQ(said["files"][1], "c/integers.c");
  EXPECT_EQ(said["examples"], 8);
  EXPECT_GT(said["constant_bytes"], 4 * 9 + 36 * 4 * 10);
  // 784 codes of the image, and the 13 x 13 x 4 that the convolution makes of them from patches of 9.
  EXPECT_EQ(said["arena_bytes"], 784 + 13 * 13 * 4 + 9);
  EXPECT_EQ(self_test("integers"), "integers: 0 of 80 codes of 8 examples differ\n");
}

TEST_F(ExportCommand, WritesFloatModels) {
  const Outcome outcome = detent(folder_, {"export", "out/fp32.h5", "--format", "c", "-o", "c", "--name", "numbers"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(self_test("numbers"), HasSubstr("numbers: 0 of 80 results of 8 examples differ by more than "));
}

TEST_F(ExportCommand, WrongCallsAreOneClearLine) {
  const auto error = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "export");
    const Outcome outcome = detent(folder_, words);
    EXPECT_EQ(outcome.status, 2);
    return outcome.err;
  };
  EXPECT_EQ(error({"out/int8.h5"}),
            "detent: export: expected a format; write detent export out/int8.h5 --format c -o folder\n");
  EXPECT_THAT(error({"out/int8.h5", "--format", "d", "-o", "c"}), HasSubstr("unknown format 'd'"));
  EXPECT_THAT(error({"out/int8.h5", "--format", "c"}), HasSubstr("expected a place to write to; write detent export"));
  EXPECT_THAT(error({"out/qat.h5", "--format", "c", "-o", "c"}),
              HasSubstr("expected a model of kind 'int8' or 'fp32', got 'qat'"));
  EXPECT_THAT(error({"out/int8.h5", "--format", "c", "-o", "c", "--requantize", "float"}),
              HasSubstr("--requantize: expected f32 or fixed, got 'float'"));
  EXPECT_THAT(error({"out/int8.h5", "--format", "onnx", "-o", "m.onnx", "--form", "qdc"}),
              HasSubstr("export: --form: expected qdq, qoperator or integer, got 'qdc'"));
  EXPECT_THAT(error({"out/int8.h5", "--format", "c", "-o", "c", "--name", "1st"}),
              HasSubstr("expected a name of letters, digits and '_' that begins with a letter, got '1st'"));
  EXPECT_THAT(error({"out/int8.h5", "--format", "c", "-o", "c", "--nmae", "net"}),
              HasSubstr("unknown option '--nmae'; did you mean '--name'?"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "c"));
  EXPECT_THAT(error({"out/int8.h5", "--format", "c", "-o", "out/int8.h5"}),
              HasSubstr("export: -o out/int8.h5: cannot be made: "));
  std::filesystem::create_directories(folder_ / "taken/net_test.c");
  EXPECT_THAT(error({"out/int8.h5", "--format", "c", "-o", "taken", "--name", "net"}),
              HasSubstr("net_test.c': expected the name of a file, it is a folder"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "taken/net.h"));  // all of them, or none
  EXPECT_FALSE(std::filesystem::exists(folder_ / "taken/net.c"));
}

}  // namespace
}  // namespace detent::cli::export_test
