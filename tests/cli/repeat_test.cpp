#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "detent/data/digits.h"
#include "detent/data/idx.h"
#include "detent/io/sha256.h"
#include "detent/io/tensor_file.h"
#include "tests/cli/digits_folder.h"
#include "tests/cli/process.h"
#include "tests/names_in.h"

namespace detent::cli::repeat_test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kRecipe = R"(# tiny
[model]
layers = ["conv 4 3x3 stride 2", "relu", "flatten", "linear 10"]
[train]
epochs = 1
batch = 50
)";

// A finished run in runs/tiny, started in `folder_`.
class Repeat : public testing::Test {
 protected:
  Repeat() {
    write_text(folder_ / "tiny.toml", kRecipe);
    write_digits(folder_ / "digits");
    const Outcome outcome =
        detent(folder_, {"run", "tiny.toml", "--data", "digits", "--seed", "5", "--set", "qat.epochs=2"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }
  json metrics() const { return json::parse(read_text(folder_ / "runs/tiny/metrics.json")); }
  void set_metrics(const json& changed) { write_text(folder_ / "runs/tiny/metrics.json", changed.dump()); }
  void expect_refused(const std::vector<std::string>& words, const std::string& what) {
    const Outcome outcome = detent(folder_, words);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_TRUE(outcome.err.starts_with("detent: ")) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  TempFolder folder_;
};

TEST_F(Repeat, TheRecordSaysWhatTheRunWasMadeFrom) {
  const json record = metrics()["record"];
  EXPECT_EQ(record["recipe_text"], kRecipe);
  EXPECT_EQ(record["recipe_file"], "tiny.toml");
  EXPECT_EQ(record["overrides"], json({"qat.epochs=2"}));
  EXPECT_EQ(record["command"], "detent run tiny.toml --data digits --seed 5 --set qat.epochs=2");
  EXPECT_EQ(fs::path(record["folder"].get<std::string>()).filename(), folder_.path().filename());
  EXPECT_EQ(record["data"], "digits");
  for (const std::string name : {"detent", "compiler", "oneDNN", "TBB", "HDF5", "zlib"}) {
    EXPECT_THAT(record["versions"][name].get<std::string>(), testing::ContainsRegex("[0-9]+\\.[0-9]+")) << name;
  }
  EXPECT_FALSE(record["processor"].get<std::string>().empty());
  const data::DataSource digits = data::read_idx_folder(folder_ / "digits");
  Sha256 sha;
  for (const data::Dataset* part : {&digits.train, &digits.test}) {
    sha.update(std::span(part->examples.raw(), part->examples.bytes()));
    sha.update(std::span(part->labels.raw(), part->labels.bytes()));
  }
  EXPECT_EQ(record["data_sha256"], sha.hex());
}

TEST_F(Repeat, FindsTheSameBytes) {
  const Outcome text = detent(folder_, {"repeat", "runs/tiny"});
  EXPECT_EQ(text.status, 0) << text.err;
  for (const std::string file : {"fp32.h5", "qat.h5", "int8.h5"}) {
    EXPECT_THAT(text.out, testing::ContainsRegex("\n  " + file + " +equal, [0-9,]+ bytes\n"));
  }
  // From another folder, with the results kept.
  fs::create_directory(folder_ / "elsewhere");
  const Outcome kept =
      detent(folder_, {"repeat", "../runs/tiny/metrics.json", "--out", "kept", "--threads", "1", "--json"}, {},
             "cd elsewhere && ");
  EXPECT_EQ(kept.status, 0) << kept.err;
  const json found = json::parse(kept.out);
  EXPECT_EQ(found["equal"], true);
  EXPECT_EQ(found["files"].size(), 3U);
  EXPECT_EQ(found["files"][0]["name"], "fp32.h5");
  EXPECT_EQ(found["files"][0]["difference"], nullptr);
  EXPECT_EQ(found["surroundings"], json::array());
  EXPECT_THAT(names_in(folder_ / "elsewhere/kept"),
              testing::ElementsAre("flips.csv", "fp32.h5", "int8.h5", "metrics.json", "qat.h5", "report.html"));
  const json again = json::parse(read_text(folder_ / "elsewhere/kept/metrics.json"));
  EXPECT_EQ(again["record"], metrics()["record"]) << "a repeated run can be repeated";
}

TEST_F(Repeat, SaysWhatDiffers) {
  TensorFile changed = TensorFile::read(folder_ / "runs/tiny/qat.h5");
  const std::string name = "parameters/fc1/weight";
  ASSERT_TRUE(changed.tensors.contains(name));
  changed.tensors[name].data<float>()[7] += 1.0F;
  changed.attributes["seed"] = std::int64_t{6};
  changed.write(folder_ / "runs/tiny/qat.h5");
  fs::remove(folder_ / "runs/tiny/int8.h5");
  json other = metrics();
  other["record"]["versions"]["oneDNN"] = "1.0";
  set_metrics(other);
  const Outcome outcome = detent(folder_, {"repeat", "runs/tiny"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, testing::ContainsRegex("fp32.h5 +equal"));
  EXPECT_THAT(outcome.out,
              testing::ContainsRegex("qat.h5 +DIFFERS: 1 of [0-9]+ tensors differ, the first "
                                     "parameters/fc1/weight; 1 of [0-9]+ attributes differ, the first seed"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("int8.h5 +DIFFERS: is missing in the run to repeat"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("then oneDNN 1.0, now [0-9]"));
  EXPECT_THAT(outcome.err, HasSubstr("detent: check failed: 2 of 3 models differ from those of the run\n"));
}

TEST_F(Repeat, RefusesWhatItCannotRepeat) {
  expect_refused({"repeat", "nothing"}, "nothing: cannot be read; name a folder that detent run wrote to");
  expect_refused({"repeat", "tiny.toml"}, "tiny.toml: not the metrics of a run");
  expect_refused({"repeat", "runs/tiny", "--out", "runs/tiny"}, "runs/tiny: is the run to repeat itself");
  data::write_idx_folder(folder_ / "others", data::make_digits({.train = 200, .test = 60, .seed = 4}));
  expect_refused({"repeat", "runs/tiny", "--data", "others"}, "these are not the data of the run: their SHA-256 is ");
  json without = metrics();
  without.erase("record");
  set_metrics(without);
  expect_refused({"repeat", "runs/tiny"}, "the run cannot be repeated, for it has no record of a recipe");
}

// Where the data lie is no matter of what was learned from them.
TEST_F(Repeat, TakesTheDataFromAnotherPlace) {
  fs::create_directory(folder_ / "elsewhere");
  fs::rename(folder_ / "digits", folder_ / "elsewhere/digits");
  const Outcome outcome = detent(folder_, {"repeat", "runs/tiny", "--data", "elsewhere/digits", "--out", "again"});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, testing::ContainsRegex("int8.h5 +equal"));
  EXPECT_TRUE(read_text(folder_ / "again/int8.h5") == read_text(folder_ / "runs/tiny/int8.h5"));
}

// What `quantize` makes of its options is a recipe, too.
TEST_F(Repeat, TakesRunsOfOtherCommands) {
  ASSERT_EQ(detent(folder_, {"quantize", "runs/tiny/fp32.h5", "--data", "digits", "--weights", "int4"}).status, 0);
  const Outcome outcome = detent(folder_, {"repeat", "runs/tiny-static"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, testing::ContainsRegex("prepared.h5 +equal"));
}

}  // namespace
}  // namespace detent::cli::repeat_test
