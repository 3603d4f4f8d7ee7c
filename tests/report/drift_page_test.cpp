#include "detent/report/html/drift_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/report/html/page.h"
#include "detent/report/html/sections/sections.h"
#include "tests/report/full_metrics.h"
#include "tests/report/well_formed.h"

namespace detent::report::html::drift_page_test {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Json drift() {
  Json json = test::full_metrics()["drift"];
  json.update({{"model", "runs/a/int8.h5"}, {"kind", "int8"}, {"data", "today/"}});
  return json;
}

/// The same where all is as it was.
Json still() {
  Json json = drift();
  json["first_left"] = nullptr;
  json["verdict"]["failures"] = Json::array();
  for (Json& value : json["values"]) {
    value["state"] = "stable";
  }
  return json;
}

TEST(DriftSection, ShowsEveryValueBesideTheTrainingData) {
  const std::string html = page({{.name = "run", .metrics = test::full_metrics()}});
  const std::size_t at = html.find("<section id=\"drift\">");
  ASSERT_NE(at, std::string::npos);
  const std::string section = html.substr(at, html.find("</section>", at) - at);
  EXPECT_THAT(section, HasSubstr("10,000 examples of the test set against 1,024 of the training data"));
  EXPECT_THAT(section, HasSubstr("<th scope=\"row\">input[0] &#39;age&#39;</th><td class=\"text\">stable</td>"
                                 "<td>0.0123</td><td>0.0200</td><td>\u22120.05</td><td>0.00\u00a0%</td><td></td>"));
  EXPECT_THAT(section, HasSubstr("<span class=\"warn-text\">left its range</span></td><td>0.5678</td><td>0.2500</td>"
                                 "<td>+0.50</td><td>1.00\u00a0%</td><td>0.10\u00a0%</td><td>5.00\u00a0%</td>"));
  EXPECT_THAT(section, HasSubstr("1 of 3 values left its range; the first, as the model runs, is conv1."));
  EXPECT_THAT(section, HasSubstr("conv1: training data and test set"));
  EXPECT_THAT(section, HasSubstr(">test set</li>"));
  EXPECT_THAT(section, Not(HasSubstr("by chance"))) << "0.03 is little";
}

TEST(DriftSection, SaysWhatChanceGivesFewExamples) {
  Json json = drift();
  json["values"][0]["psi_by_chance"] = 0.5;
  json["values"][0]["ks_by_chance"] = 0.3;
  EXPECT_THAT(drift_section(json, "new data"), HasSubstr("chance alone gives up to PSI 0.50 and K-S 0.30"));
}

TEST(DriftSection, FoldsWhatIsMoreThanAFewAndStable) {
  Json json = still();
  const Json value = json["values"][1];
  for (int i = 0; i < 30; ++i) {
    json["values"].push_back(value);
    json["values"].back()["value"] = "layer" + std::to_string(i);
  }
  json["values"][20]["state"] = "moved";
  const std::string html = drift_section(json, "new data");
  const std::size_t folded = html.find("<details><summary>26 more values</summary>");
  ASSERT_NE(folded, std::string::npos) << "33 without the first 6 and the one that moved";
  EXPECT_LT(html.find("layer17: training data"), folded);
  EXPECT_GT(html.find("layer16: training data"), folded);
  for (Json& each : json["values"]) {
    each["state"] = "left its range";
  }
  EXPECT_THAT(drift_section(json, "new data"), HasSubstr("<summary>21 more values</summary>"));
}

TEST(DriftSentence, NamesTheFirstThatMovedOrLeft) {
  Json json = still();
  EXPECT_EQ(drift_sentence(json), "All values are spread as on the training data.");
  json["values"][2]["state"] = "moved";
  json["values"][0]["state"] = "moved";
  EXPECT_EQ(drift_sentence(json),
            "2 of 3 values moved, within the bounds; the first, as the model runs, is input[0] 'age'.");
  json["values"][1]["state"] = "left its range";
  json["values"][2]["state"] = "left its range";
  EXPECT_EQ(drift_sentence(json), "2 of 3 values left their range; the first, as the model runs, is conv1.");
}

TEST(DriftPage, NamesWhatLeftItsRangeFirst) {
  const std::string html = drift_page(drift(), "detent monitor 'a b.h5'");
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_THAT(html, HasSubstr("<title>runs/a/int8.h5: conv1 left its range</title>"));
  EXPECT_THAT(html, HasSubstr("<section class=\"verdict bad\" id=\"verdict\">"));
  EXPECT_THAT(html, HasSubstr("<h2>conv1 left its range</h2>"));
  EXPECT_THAT(html, HasSubstr("conv1: psi: expected &lt;= 0.25, got 0.5678"));
  EXPECT_THAT(html, HasSubstr("<p class=\"meta\">on today/</p>"));
  EXPECT_THAT(html, HasSubstr("conv1: training data and new data"));
  EXPECT_THAT(html, HasSubstr("<code>detent monitor &#39;a b.h5&#39;</code>"));
  for (const char* const foreign : {"<script", "http:", "https:", "@import", "url("}) {
    EXPECT_THAT(html, Not(HasSubstr(foreign)));
  }
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
}

TEST(DriftPage, CallsColumnsByTheirNames) {
  Json json = drift();
  json["values"][0]["state"] = "left its range";
  EXPECT_THAT(drift_page(json, "detent"), HasSubstr("<h2>input[0] &#39;age&#39; left its range</h2>"));
}

TEST(DriftPage, SaysThatNothingDid) {
  EXPECT_THAT(drift_page(still(), "detent"), AllOf(HasSubstr("<section class=\"verdict\" id=\"verdict\">"),
                                                   HasSubstr("<h2>Nothing left its range</h2><p>All values are spread"),
                                                   HasSubstr("Checked, and holds")));
}

TEST(DriftPage, IsWholeWhateverItsMembersAre) {
  const Json whole = drift();
  const Json flat = whole.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    for (const Json& other : {Json(nullptr), Json(1e300), Json("\"><script>&<!--"), Json::array({1, "a"})}) {
      Json json = whole;
      json[Json::json_pointer(pointer)] = other;
      const std::string html = drift_page(json, "detent");
      ASSERT_EQ(test::fault_of(html), "") << pointer << " = " << other;
      ASSERT_THAT(html, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("nan")))) << pointer << " = " << other;
    }
  }
}

}  // namespace
}  // namespace detent::report::html::drift_page_test
