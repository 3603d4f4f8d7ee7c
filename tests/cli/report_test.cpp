#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/cli/digits_folder.h"
#include "tests/cli/process.h"
#include "tests/report/full_metrics.h"
#include "tests/report/well_formed.h"

namespace detent::cli::report_test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Report : public testing::Test {
 protected:
  // The folder of a run that ended long ago.
  void add_run(const std::string& name, const nlohmann::json& metrics = test::full_metrics()) {
    fs::create_directories(folder_ / name);
    write_text(folder_ / (name + "/metrics.json"), metrics.dump(2));
  }
  std::string page(const std::string& name) { return read_text(folder_ / name); }
  void expect_refused(const std::vector<std::string>& words, const std::string& what) {
    const Outcome outcome = detent(folder_, words);
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(what));
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  TempFolder folder_;
};

TEST_F(Report, OfARunGoesToItsFolder) {
  nlohmann::json metrics = test::full_metrics();
  metrics["evidence"]["pairs"][0]["flips"] = nlohmann::json::array();
  add_run("runs/a", metrics);
  const Outcome outcome = detent(folder_, {"report", "runs/a"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "report in runs/a/report.html\n");
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(test::fault_of(page("runs/a/report.html")), "");
  EXPECT_THAT(page("runs/a/report.html"), HasSubstr("Safe to ship"));
}

TEST_F(Report, OfAFileAndToAFile) {
  add_run("a");
  EXPECT_EQ(detent(folder_, {"report", "a/metrics.json"}).out, "report in report.html\n");
  EXPECT_EQ(detent(folder_, {"report", "a", "--out", "other.html"}).out, "report in other.html\n");
  EXPECT_EQ(page("report.html"), page("other.html"));
  const nlohmann::json said = nlohmann::json::parse(detent(folder_, {"report", "a", "--json"}).out);
  EXPECT_EQ(said, (nlohmann::json{{"report", "a/report.html"}, {"runs", 1}}));
}

TEST_F(Report, SaysWhyItHasNoPictures) {
  add_run("a");
  const Outcome outcome = detent(folder_, {"report", "a"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("detent: the page has no pictures: "));
  expect_refused({"report", "a", "--data", "missing"}, "a/fp32.h5");
}

TEST_F(Report, OfSeveralRunsIsOnePage) {
  add_run("runs/a");
  add_run("old/a");
  add_run("runs/b");
  const Outcome outcome = detent(folder_, {"report", "runs/a", "old/a", "runs/b"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "report in report.html\n");
  const std::string html = page("report.html");
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_THAT(html, HasSubstr("<th scope=\"col\">runs/a</th><th scope=\"col\">old/a</th><th scope=\"col\">b</th>"))
      << "two are called a";
}

TEST_F(Report, RefusesWhatIsNoRun) {
  fs::create_directories(folder_ / "empty");
  write_text(folder_ / "broken.json", "{\"recipe\": ");
  write_text(folder_ / "other.json", "[1, 2]");
  expect_refused({"report", "empty"}, "detent: report: empty/metrics.json is not there; name the folder of a finished");
  expect_refused({"report", "nowhere"}, "detent: report: nowhere is not there");
  expect_refused({"report", "broken.json"}, "broken.json: not the metrics.json of a run");
  expect_refused({"report", "other.json"}, "other.json: not the metrics.json of a run");
  write_text(folder_ / "deep.json", "{\"recipe\": " + std::string(3000000, '[') + std::string(3000000, ']') + "}");
  expect_refused({"report", "deep.json"}, "deep.json: not the metrics.json of a run");
  expect_refused({"report"}, "RUN");
  add_run("a", {{"recipe", "mlp"}});
  expect_refused({"report", "a", "--out", "nowhere/page.html"}, "nowhere/page.html");
}

TEST_F(Report, EveryRunEndsWithOne) {
  write_text(folder_ / "tiny.toml", R"(# tiny
[model]
layers = ["conv 4 3x3 stride 2", "relu", "flatten", "linear 10"]
[train]
epochs = 1
batch = 32
)");
  write_digits(folder_ / "digits");
  const Outcome outcome = detent(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "out"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const std::string html = page("out/report.html");
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_THAT(html, AllOf(HasSubstr("<h1>tiny <small>on digits</small></h1>"), HasSubstr("How much smaller?"),
                          HasSubstr("<section id=\"layers\">"), HasSubstr("<section id=\"model\">"),
                          HasSubstr("conv1: weights"), HasSubstr("fc1: activations"),
                          HasSubstr("<section id=\"drift\">"), HasSubstr("conv1: training data and test set")));
  const nlohmann::json metrics = nlohmann::json::parse(page("out/metrics.json"));
  EXPECT_EQ(metrics["layers"]["examples"], 60);
  EXPECT_EQ(metrics["layers"]["rows"][0]["name"], "conv1");
  EXPECT_EQ(metrics["model"]["nodes"][0]["name"], "input");
  EXPECT_EQ(metrics["drift"]["examples"], 60);
  EXPECT_EQ(metrics["drift"]["values"][1]["value"], "input_quantize");
  // From metrics.json the same page can be made again.
  ASSERT_EQ(detent(folder_, {"report", "out", "--data", "digits", "--out", "again.html"}).status, 0);
  EXPECT_EQ(page("again.html"), html);
}

TEST_F(Report, OfARunWithoutQuantizationTellsOfTheFloatModel) {
  write_text(folder_ / "tiny.toml",
             "# tiny\n[model]\nlayers = [\"flatten\", \"linear 10\"]\n[train]\nepochs = 1\n[quantize]\nmethod = "
             "\"none\"\n");
  write_digits(folder_ / "digits");
  ASSERT_EQ(detent(folder_, {"run", "tiny.toml", "--data", "digits", "--out", "out"}).status, 0);
  const std::string html = page("out/report.html");
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_THAT(html, AllOf(HasSubstr("A float model"), HasSubstr("<section id=\"model\">"),
                          Not(HasSubstr("<section id=\"layers\">"))));
}

}  // namespace
}  // namespace detent::cli::report_test
