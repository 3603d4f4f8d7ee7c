// Files that are damaged, or meant ill: the program says one line, and goes on or ends with status 2.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/io/tensor_file.h"
#include "tests/cli/digits_folder.h"
#include "tests/cli/process.h"
#include "tests/data/h5py.h"

namespace detent::cli::hostile_files_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class HostileFiles : public testing::Test {
 protected:
  void expect_refused(const std::vector<std::string>& words, const std::vector<std::string>& says,
                      const std::string& before = {}) {
    SCOPED_TRACE(testing::PrintToString(words));
    const Outcome outcome = detent(folder_, words, {}, before);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
    for (const std::string& text : says) {
      EXPECT_THAT(outcome.err, HasSubstr(text));
    }
  }

  void train() {
    write_text(folder_ / "tiny.toml",
               "[model]\nlayers = [\"conv 4 3x3 stride 2\", \"relu\", \"flatten\", \"linear 10\"]\n"
               "[train]\nepochs = 1\nbatch = 32\n[qat]\nepochs = 1\n");
    write_digits(folder_ / "digits");
    const Outcome trained = detent(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "out"});
    ASSERT_EQ(trained.status, 0) << trained.err;
  }

  TempFolder folder_;
};

TEST_F(HostileFiles, ADamagedInt8ModelIsCaughtByVerify) {
  train();
  const std::vector<std::string> verify{"verify", "out/qat.h5", "out/damaged.h5", "--data", "digits"};
  const TensorFile whole = TensorFile::read(folder_ / "out/int8.h5");
  whole.write(folder_ / "out/damaged.h5");
  EXPECT_EQ(detent(folder_, verify).status, 0);
  for (const std::string layer : {"conv1", "fc1"}) {
    SCOPED_TRACE(layer);
    const std::string name = "parameters/" + layer + "/";

    TensorFile one_code = TensorFile::read(folder_ / "out/int8.h5");
    const std::span<std::int8_t> codes = one_code.tensors.at(name + "weight").data<std::int8_t>();
    std::int8_t& code = codes[codes.size() / 2];
    code = static_cast<std::int8_t>(code > 0 ? code - 60 : code + 60);
    one_code.write(folder_ / "out/damaged.h5");
    Outcome outcome = detent(folder_, verify);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("verification failed"), HasSubstr(layer)));

    TensorFile one_scale = TensorFile::read(folder_ / "out/int8.h5");
    one_scale.tensors.at(name + "weight_scale").data<float>()[0] *= 2;
    one_scale.write(folder_ / "out/damaged.h5");
    outcome = detent(folder_, verify);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("verification failed"), HasSubstr(layer)));

    // Two tensors hold this map: the layer was converted for another one than its input has now.
    TensorFile input_scale = TensorFile::read(folder_ / "out/int8.h5");
    input_scale.tensors.at(name + "input_scale").data<float>()[0] *= 2;
    input_scale.write(folder_ / "out/damaged.h5");
    expect_refused(verify, {"damaged.h5", layer, "not those that the layer was converted for"});
  }
}

// A step of one code, or a scale of a channel that is always 0, may make no layer differ on any example at hand.
TEST_F(HostileFiles, ANumberThatNoExampleComesUponIsCaughtByVerify) {
  train();
  const std::vector<std::string> verify{"verify", "out/qat.h5", "out/damaged.h5", "--data", "digits"};
  for (const std::size_t at : {0, 7, 333, 1000}) {
    TensorFile file = TensorFile::read(folder_ / "out/int8.h5");
    std::int8_t& code = file.tensors.at("parameters/fc1/weight").data<std::int8_t>()[at];
    code = static_cast<std::int8_t>(code > 0 ? code - 1 : code + 1);
    file.write(folder_ / "out/damaged.h5");
    const Outcome outcome = detent(folder_, verify);
    EXPECT_EQ(outcome.status, 1) << at;
    EXPECT_THAT(outcome.err,
                AllOf(HasSubstr("verification failed: fc1: weight ["), HasSubstr("in out/damaged.h5 (1 of ")))
        << at;
  }
  std::vector<std::string> with_json = verify;
  with_json.emplace_back("--json");
  nlohmann::json json = nlohmann::json::parse(detent(folder_, with_json).out);
  EXPECT_EQ(json["passed"], false);
  EXPECT_THAT(json["changed_number"].get<std::string>(), HasSubstr("fc1: weight ["));
  with_json[2] = "out/int8.h5";
  json = nlohmann::json::parse(detent(folder_, with_json).out);
  EXPECT_EQ(json["passed"], true);
  EXPECT_TRUE(json["changed_number"].is_null());
}

TEST_F(HostileFiles, ModelsOfAnotherFormAreRefused) {
  train();
  const std::string whole = read_text(folder_ / "out/int8.h5");
  std::string old = whole;
  old[8] = '\0';
  write_text(folder_ / "old.h5", old);
  write_text(folder_ / "longer.h5", whole + "appended");
  write_text(folder_ / "shorter.h5", whole.substr(0, whole.size() / 2));
  for (const std::string command : {"eval", "inspect"}) {
    std::vector<std::string> words{command, ""};
    if (command == "eval") {
      words.insert(words.end(), {"--data", "digits"});
    }
    words[1] = "old.h5";
    expect_refused(words, {"old.h5", "superblock version 0", "take the file as Detent wrote it"});
    words[1] = "longer.h5";
    expect_refused(words, {"longer.h5", "8 bytes follow its end"});
    words[1] = "shorter.h5";
    expect_refused(words, {"shorter.h5", "cut short"});
  }
}

TEST_F(HostileFiles, DataOfTheOldestFormAreReadAndTheirClaimsAreNotBelieved) {
  const auto file = [&](const std::string& name, const std::string& more) {
    return on_file(folder_ / name,
                   "i = np.arange(40)\nf['images'] = np.zeros((40, 6, 5), 'u1')\nf['labels'] = i % 4\n" + more);
  };
  if (!run_h5py(file("whole.h5", "f.attrs['name'] = 'forty'") + file("classes.h5", "f.attrs['classes'] = 1000000000") +
                file("many.h5", "f.attrs['classes'] = 1000000"))) {
    GTEST_SKIP() << "no h5py";
  }
  const Outcome shown = detent(folder_, {"data", "show", "whole.h5"});
  EXPECT_EQ(shown.status, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("forty"));
  expect_refused({"data", "show", "classes.h5"}, {"classes.h5: attribute classes", "got 1000000000"});
  expect_refused({"data", "show", "many.h5"}, {"many.h5: attribute classes", "got 1000000"});
  // With little memory, too, it is an error and no crash.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  expect_refused({"data", "show", "classes.h5"}, {"classes.h5"});  // they reserve address space without measure
#else
  expect_refused({"data", "show", "classes.h5"}, {"classes.h5"}, "ulimit -v 2000000; ");
#endif

  const std::string whole = read_text(folder_ / "whole.h5");
  std::string damaged = whole;
  const std::size_t tree = damaged.find("TREE");
  ASSERT_NE(tree, std::string::npos);
  for (const char byte : {'\xff', '\x7f', '\x01'}) {  // its level, its entries, its neighbours
    std::fill_n(damaged.begin() + static_cast<std::ptrdiff_t>(tree) + 5, 30, byte);
    write_text(folder_ / "damaged.h5", damaged);
    expect_refused({"data", "show", "damaged.h5"}, {"damaged.h5"});
  }
}

TEST_F(HostileFiles, RecipesThatHaveNoEndAreRefused) {
  expect_refused({"run", "/dev/zero"}, {"/dev/zero", "is no recipe"});
}

}  // namespace
}  // namespace detent::cli::hostile_files_test
