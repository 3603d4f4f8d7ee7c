#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "detent/data/digits.h"
#include "detent/data/idx.h"
#include "tests/cli/process.h"

namespace detent::cli::reproduce_test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class Reproduce : public testing::Test {
 protected:
  Reproduce() { data::write_idx_folder(folder_ / "digits", data::make_digits({.train = 300, .test = 80, .seed = 3})); }
  Outcome reproduce(std::vector<std::string> more = {}) {
    std::vector<std::string> words{"reproduce", "tfc", "--data", "digits", "--epochs", "1", "--out", "out"};
    words.insert(words.end(), more.begin(), more.end());
    return detent(folder_, words);
  }
  TempFolder folder_;
};

TEST(ReproduceList, NamesTheTables) {
  const TempFolder folder;
  const Outcome outcome = detent(folder, {"reproduce"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("lenet "));
  EXPECT_THAT(outcome.out, HasSubstr("rows 8/8, 4/4, 2/2, 1/2, 1/1"));
  const nlohmann::json json = nlohmann::json::parse(detent(folder, {"reproduce", "--json"}).out);
  EXPECT_EQ(json["tables"][0]["name"], "lenet");
}

TEST_F(Reproduce, PrintsOursBesideTheirs) {
  const Outcome outcome = reproduce({"--seeds", "2", "--only", "2/2"});
  ASSERT_EQ(outcome.status, 0) << outcome.err << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("seed 2, 2/2: "));
  EXPECT_THAT(outcome.out, HasSubstr("| bits | ours | 95 % by test set | 95 % by seeds | theirs |"));
  EXPECT_THAT(outcome.out, testing::ContainsRegex("\\| 2/2 \\| [0-9.]+ ± [0-9.]+ \\| .* \\| 96.60 \\|"));
  EXPECT_THAT(outcome.out, HasSubstr("1 epochs instead of the table's own"));
  EXPECT_THAT(outcome.out, HasSubstr("Published figures are on mnist: these data are others."));
  EXPECT_THAT(outcome.out, HasSubstr(read_text(folder_ / "out" / "tfc.md")));

  const nlohmann::json json = nlohmann::json::parse(read_text(folder_ / "out" / "tfc.json"));
  ASSERT_EQ(json["rows"].size(), 2U);
  EXPECT_EQ(json["rows"][0]["name"], "float");
  const nlohmann::json& row = json["rows"][1];
  EXPECT_EQ(row["published"], 0.966);
  ASSERT_EQ(row["runs"].size(), 2U);
  for (const nlohmann::json& run : row["runs"]) {
    EXPECT_EQ(run["images"], 80);
    EXPECT_EQ(run["codes_mismatched"], 0);
    EXPECT_GT(run["codes_compared"], 80 * 64);
    EXPECT_LE(run["lost"].get<int>() + run["won"].get<int>(), run["predictions_changed"].get<int>());
  }
  EXPECT_NE(row["runs"][0]["correct"], 0);
}

TEST_F(Reproduce, ItsRunsCanBeRepeated) {
  const Outcome outcome = reproduce({"--seeds", "1", "--only", "2/2"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  for (const std::string run : {"float", "2-2"}) {
    const nlohmann::json metrics = nlohmann::json::parse(read_text(folder_ / "out" / "seed-1" / run / "metrics.json"));
    EXPECT_EQ(metrics["record"]["command"],
              "detent reproduce tfc --data digits --epochs 1 --out out --seeds 1 --only 2/2");
    EXPECT_EQ(metrics["record"]["data"], "digits");
    const Outcome again = detent(folder_, {"repeat", "out/seed-1/" + run});
    EXPECT_EQ(again.status, 0) << again.out << again.err;
    EXPECT_THAT(again.out, testing::ContainsRegex("fp32.h5 +equal"));
    EXPECT_EQ(again.out.find("int8.h5") == std::string::npos, run == "float") << again.out;
  }
}

TEST_F(Reproduce, GoesOnWithWhatIsMissing) {
  const Outcome first = reproduce({"--seeds", "1", "--only", "2/2", "--json"});
  ASSERT_EQ(first.status, 0) << first.err;
  // As if it had been killed in the row: its model is there, but not what is written last.
  fs::remove(folder_ / "out" / "seed-1" / "2-2" / "result.json");
  fs::remove(folder_ / "out" / "tfc.json");
  const auto is_float = fs::last_write_time(folder_ / "out" / "seed-1" / "float" / "fp32.h5");
  const Outcome second = reproduce({"--seeds", "1", "--only", "2/2", "--json"});
  ASSERT_EQ(second.status, 0) << second.err;
  EXPECT_THAT(second.err, testing::ContainsRegex("seed 1, float: [0-9.]+ %, as it was there"));
  EXPECT_THAT(second.err, Not(testing::ContainsRegex("seed 1, 2/2: [^\n]*as it was there")));
  EXPECT_EQ(fs::last_write_time(folder_ / "out" / "seed-1" / "float" / "fp32.h5"), is_float);
  nlohmann::json before = nlohmann::json::parse(first.out);
  nlohmann::json after = nlohmann::json::parse(second.out);
  for (nlohmann::json* json : {&before, &after}) {
    (*json)["rows"][1]["runs"][0].erase("seconds");
  }
  EXPECT_EQ(before, after);
  // All is there.
  EXPECT_THAT(reproduce({"--seeds", "1", "--only", "2/2"}).out,
              testing::ContainsRegex("seed 1, 2/2: [^\n]*as it was there"));
}

TEST_F(Reproduce, DoesNotUseRunsOfOtherSettings) {
  ASSERT_EQ(reproduce({"--seeds", "1", "--only", "2/2"}).status, 0);
  const Outcome longer = reproduce({"--seeds", "1", "--only", "2/2", "--epochs", "2"});
  ASSERT_EQ(longer.status, 0) << longer.err;
  EXPECT_THAT(longer.out, Not(HasSubstr("as it was there")));
  write_text(folder_ / "out" / "seed-1" / "float" / "result.json", "{\"key\": ");
  const Outcome damaged = reproduce({"--seeds", "1", "--only", "2/2", "--epochs", "2"});
  ASSERT_EQ(damaged.status, 0) << damaged.err;
  EXPECT_THAT(damaged.out, Not(testing::ContainsRegex("seed 1, float: [0-9.]+ %, as it was there")));
  EXPECT_THAT(damaged.out, testing::ContainsRegex("seed 1, 2/2: [^\n]*as it was there"))
      << "its float model is the same";
}

TEST_F(Reproduce, RefusesWhatItCannotDo) {
  const auto expect_refused = [](const Outcome& outcome, const std::string& what) {
    EXPECT_EQ(outcome.status, 2);
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  };
  expect_refused(detent(folder_, {"reproduce", "lennet"}), "unknown table 'lennet'; did you mean 'lenet'?");
  expect_refused(reproduce({"--only", "3/3"}), "the table tfc has no row '3/3'");
  expect_refused(reproduce({"--seeds", "0"}), "--seeds: expected a whole number from 1 to 30");
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

}  // namespace
}  // namespace detent::cli::reproduce_test
