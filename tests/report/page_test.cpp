#include "detent/report/html/page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/report/html/flips.h"
#include "tests/error_of.h"
#include "tests/report/full_metrics.h"
#include "tests/report/well_formed.h"

namespace detent::report::html::page_test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::vector<std::string> kSections{"models", "changes",  "confusion", "layers", "drift",
                                         "speed",  "training", "model",     "repeat"};

std::string page_of(const Json& metrics) { return page({{.name = "run", .metrics = metrics}}); }

bool has_section(const std::string& html, const std::string& id) {
  return html.find("<section id=\"" + id + "\">") != std::string::npos;
}

TEST(WellFormed, FindsFaults) {
  EXPECT_EQ(test::fault_of("<!DOCTYPE html>\n<p class=\"a\">x &amp; y<br></p><svg><path d=\"M0 1\"/></svg>"), "");
  for (const char* bad : {"<p>", "</p>", "<b><i></b></i>", "<p a=b></p>", "<p a=\"1\" a=\"2\"></p>", "a & b", "a > b",
                          "<p", "<p a=\"<\"></p>", "<style>"}) {
    EXPECT_NE(test::fault_of(bad), "") << bad;
  }
}

TEST(Page, OfARunThatHasEverythingIsWhole) {
  const std::string html = page_of(test::full_metrics());
  EXPECT_EQ(test::fault_of(html), "");
  for (const std::string& id : kSections) {
    EXPECT_TRUE(has_section(html, id)) << id;
    EXPECT_THAT(html, HasSubstr("<a href=\"#" + id + "\">"));
  }
  EXPECT_THAT(html, HasSubstr("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"));
  EXPECT_THAT(html, HasSubstr("@media (prefers-color-scheme: dark)"));
  EXPECT_THAT(html, HasSubstr("@media print"));
}

TEST(Page, AsksForNothingFromElsewhere) {
  const std::string html = page_of(test::full_metrics());
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("http:")));
  EXPECT_THAT(html, Not(HasSubstr("https:")));
  EXPECT_THAT(html, Not(HasSubstr("@import")));
  EXPECT_THAT(html, Not(HasSubstr("url(")));
  EXPECT_THAT(html, HasSubstr("default-src 'none'"));
}

TEST(Page, AnswersFirst) {
  const std::string html = page_of(test::full_metrics());
  const std::string top = html.substr(0, html.find("<nav"));
  EXPECT_THAT(top, HasSubstr("<h2>Safe to ship</h2>"));
  EXPECT_THAT(top, HasSubstr("All 3 checks passed. What was trained is what ships: 0 of 778,600,000 codes differ"));
  EXPECT_THAT(top, HasSubstr("<h3>How much smaller?</h3><p class=\"big\">3.98\u00d7</p>"));
  EXPECT_THAT(top, HasSubstr("<h3>How much faster?</h3><p class=\"big\">6.88\u00d7</p>"));
  EXPECT_THAT(top, HasSubstr("<h3>What changed?</h3><p class=\"big\">3</p>"));
  EXPECT_THAT(top, HasSubstr("99.21\u00a0%"));
  EXPECT_THAT(top, HasSubstr("\u22120.02 points against float"));
  EXPECT_THAT(top, HasSubstr("<code>int8_accuracy &gt;= 0.99</code>"));
  EXPECT_THAT(top, HasSubstr("42 of 128 channels"));
}

TEST(Verdict, IsNotSafeWhereACheckFailedOrCodesDiffer) {
  Json metrics = test::full_metrics();
  metrics["check"]["failures"] = {"int8 accuracy 0.9 is below 0.99"};
  EXPECT_THAT(page_of(metrics), AllOf(HasSubstr("<h2>Not safe to ship</h2>"), HasSubstr("0.9 is below 0.99")));
  metrics = test::full_metrics();
  metrics["evidence"]["verdict"]["failures"] = {"slice class 9 lost 2.00 points"};
  EXPECT_EQ(facts_of(metrics).verdict, Verdict::NotSafe);
  metrics = test::full_metrics();
  metrics["verify"]["codes_mismatched"] = 3;
  EXPECT_THAT(page_of(metrics), AllOf(HasSubstr("<h2>Not safe to ship</h2>"), HasSubstr("3 of 778,600,000 codes")));
}

TEST(Verdict, SaysThatNothingWasChecked) {
  Json metrics = test::full_metrics();
  metrics["check"]["checked"] = Json::array();
  metrics["evidence"].erase("verdict");
  EXPECT_THAT(page_of(metrics), AllOf(HasSubstr("<h2>Not checked</h2>"), HasSubstr("sets no thresholds")));
}

TEST(Verdict, OfAFloatModelAsksNothingOfInt8) {
  const Json metrics{{"recipe", "mlp"}, {"fp32", {{"test_accuracy", 0.9}}}, {"int8", nullptr}};
  const std::string html = page_of(metrics);
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_THAT(html, AllOf(HasSubstr("<h2>A float model</h2>"), Not(HasSubstr("How much smaller"))));
}

TEST(Verdict, ComparesWithNoFloatModelThatWasNotTrained) {
  Json metrics = test::full_metrics();
  metrics["fp32"]["trained"] = false;
  metrics["fp32"]["test_accuracy"] = 0.1;
  metrics["layers"]["against"] = "int8";
  metrics.erase("evidence");
  const std::string html = page_of(metrics);
  EXPECT_THAT(html, AllOf(HasSubstr("no float model was trained"), HasSubstr("float, not trained"),
                          HasSubstr("<h3>What changed?</h3><p class=\"big\">nothing</p>"), Not(HasSubstr("+89")),
                          Not(HasSubstr("Signal to noise")), HasSubstr("conv1: weights"),
                          HasSubstr("activations as the int8 model has them")));
}

TEST(Verdict, OfRealNumbersSpeaksOfR2) {
  Json metrics = test::full_metrics();
  metrics["measure"] = "R2";
  metrics["fp32"]["test_accuracy"] = 0.9876;
  metrics["int8"]["test_accuracy"] = -0.5;
  metrics["evidence"] = nullptr;
  const std::string html = page_of(metrics);
  EXPECT_THAT(html, AllOf(HasSubstr("<p class=\"big\">\u22120.5000</p>"),
                          HasSubstr("\u22121.4876 R\u00b2 against float, 0.9876"), HasSubstr("<td>0.9876</td>"),
                          Not(HasSubstr("98.76")), HasSubstr("<h3>R\u00b2</h3>")));
}

TEST(Verdict, OfRealNumbersSaysHowTheErrorChanged) {
  Json metrics = test::full_metrics();
  metrics["measure"] = "R2";
  metrics["fp32"]["test_accuracy"] = 0.98761;
  metrics["int8"]["test_accuracy"] = 0.98759;
  const Json error{{"error_a", 7.7767}, {"error_b", 7.84}, {"change", 0.0633}, {"interval", {0.01, 0.2262}}};
  Json pair = error;
  pair.update({{"a", "fp32"}, {"b", "int8"}, {"slices", Json::array({error, error})}});
  pair["slices"][0].update({{"slice", "age < 20"}, {"examples", 50}});
  pair["slices"][1].update({{"slice", "age >= 20"}, {"examples", 70}, {"change", 0.5}, {"interval", {-0.5, 1.5}}});
  metrics["evidence"]["pairs"] = Json::array({pair});
  const std::string html = page_of(metrics);
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_THAT(html, AllOf(HasSubstr("<p>0.0000 R\u00b2 against float, 0.9876</p></div>"),
                          HasSubstr("<p class=\"big\">+0.0633</p><p>mean error, 7.777 in float, 7.84 in int8</p><p>95"
                                    "\u00a0% interval +0.01 to +0.226</p>")));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">float</th><td class=\"text\">int8</td><td>7.777</td><td>7.84</td><td>"
                              "<span class=\"warn-text\">+0.0633</span></td><td>+0.01 to +0.226</td>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">age &gt;= 20</th><td>70</td><td>7.777</td><td>7.84</td><td>+0.5</td>"
                              "<td>\u22120.5 to +1.5</td>"));
  EXPECT_LT(html.find("age &gt;= 20"), html.find("age &lt; 20")) << "the worst first";
  EXPECT_THAT(html, Not(HasSubstr("McNemar"))) << "that is of classes";
}

TEST(Sections, ShowThemselvesWhereTheirMembersAre) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> needs{
      {"changes", {"evidence"}}, {"confusion", {"evidence"}}, {"speed", {"evidence"}}, {"layers", {"layers"}},
      {"drift", {"drift"}},      {"training", {"epochs"}},    {"model", {"model"}}};
  for (const auto& [id, members] : needs) {
    Json metrics = test::full_metrics();
    for (const std::string& name : members) {
      metrics.erase(name);
    }
    const std::string html = page_of(metrics);
    EXPECT_EQ(test::fault_of(html), "") << id;
    EXPECT_FALSE(has_section(html, id)) << id;
    EXPECT_THAT(html, Not(HasSubstr("#" + id + "\""))) << id;
  }
}

// Whatever any member is: the page is whole, and no number is made up of it.
TEST(Sections, BearMembersOfAnyType) {
  const std::vector<Json> odd{nullptr,
                              true,
                              -1,
                              1e300,
                              "text",
                              Json::array(),
                              Json::object(),
                              Json::array({1, "a", {}}),
                              Json{{"a", Json::array({Json::array()})}}};
  const Json whole = test::full_metrics();
  const Json flat = whole.flatten();
  std::size_t at = 0;
  for (const auto& [pointer, value] : flat.items()) {
    for (const Json& other : {odd[at++ % odd.size()], odd[(4 * at) % odd.size()]}) {
      Json metrics = whole;
      metrics[Json::json_pointer(pointer)] = other;
      const std::string html = page_of(metrics);
      ASSERT_EQ(test::fault_of(html), "") << pointer << " = " << other;
      ASSERT_THAT(html, AllOf(Not(HasSubstr(">nan")), Not(HasSubstr("=\"nan")), Not(HasSubstr("=\"-nan")),
                              Not(HasSubstr("=\"inf"))))
          << pointer << " = " << other;
    }
  }
}

TEST(Sections, WithoutTheirMembersOfAnyType) {
  const Json whole = test::full_metrics();
  for (const auto& [name, value] : whole.items()) {
    for (const Json& other : {Json(nullptr), Json("text"), Json::array({1, "a"}), Json::object({{"models", "x"}})}) {
      Json metrics = test::full_metrics();
      metrics[name] = other;
      EXPECT_EQ(test::fault_of(page_of(metrics)), "") << name << " = " << other;
    }
  }
}

// Texts from files and folders are never taken for HTML.
TEST(Escaping, OfEveryText) {
  const std::string attack = "\"><script>alert('x')</script>&<!--";
  const Json whole = test::full_metrics();
  const Json flat = whole.flatten();
  for (const auto& [pointer, value] : flat.items()) {
    if (value.is_string()) {
      Json metrics = whole;
      metrics[Json::json_pointer(pointer)] = attack;
      const std::string html =
          page({{.name = attack, .metrics = metrics}, {.name = "b", .metrics = metrics}}) + page_of(metrics).substr(15);
      ASSERT_THAT(html, AllOf(Not(HasSubstr("<script")), Not(HasSubstr("<!--")))) << pointer;
      ASSERT_EQ(test::fault_of(page_of(metrics)), "") << pointer;
    }
  }
  Json metrics = test::full_metrics();
  Json& models = metrics["evidence"]["models"];
  models[attack] = models["fp32.h5"];
  EXPECT_EQ(test::fault_of(page_of(metrics)), "") << "names of members are texts as well";
  EXPECT_THAT(page_of(metrics), Not(HasSubstr("<script")));
}

TEST(Gallery, ShowsWhatWasLostFirstWithPictures) {
  html::Run run{.name = "run", .metrics = test::full_metrics()};
  const Json& pair = run.metrics["evidence"]["pairs"][0];
  std::vector<int> indices;
  for (const Json* const flip : shown_flips(pair)) {
    indices.push_back((*flip)["index"]);
  }
  EXPECT_THAT(indices, ElementsAre(18, 5, 17)) << "lost, the surest first, then won";
  run.pictures[5] = "data:image/png;base64,AAAA";
  const std::string html = page({run});
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_THAT(html, HasSubstr("<img src=\"data:image/png;base64,AAAA\" alt=\"test image 5, of class 4\">"));
  EXPECT_EQ(html.find("<img", html.find("<img") + 1), std::string::npos) << "the others have no picture";
}

TEST(Gallery, NamesClassesWhereTheRunDoes) {
  Json metrics = test::full_metrics();
  metrics["class_names"] = {"ant", "bee", "cat", "dog", "eel"};
  EXPECT_THAT(page_of(metrics),
              AllOf(HasSubstr("<b>#18 is dog</b><br>float: dog<br>int8: 5<br>"), HasSubstr("<b>#5 is eel</b>")));
}

TEST(Gallery, HasThePicturesOfItsFlips) {
  const data::Dataset test{.name = "test",
                           .examples = Tensor::zeros({18, 2, 2, 1}, DType::U8),
                           .labels = Tensor::zeros({18}, DType::S32),
                           .classes = 10};
  const auto pictures = pictures_of(test::full_metrics(), test);
  ASSERT_EQ(pictures.size(), 2U) << "image 18 is not there";
  EXPECT_TRUE(pictures.contains(5) && pictures.contains(17));
  EXPECT_TRUE(pictures.at(5).starts_with("data:image/png;base64,iVBORw0KGgo"));
  Json metrics = test::full_metrics();
  metrics["evidence"]["pairs"][0]["flips"][0]["index"] = -1;
  EXPECT_EQ(pictures_of(metrics, test).size(), 1U);
  const data::Dataset rows{.name = "rows",
                           .examples = Tensor::zeros({18, 4}, DType::F32),
                           .labels = Tensor::zeros({18}, DType::S32),
                           .classes = 10};
  EXPECT_TRUE(pictures_of(test::full_metrics(), rows).empty()) << "no images";
}

TEST(Slices, BeginWithTheWorst) {
  const std::string html = page_of(test::full_metrics());
  const std::size_t worst = html.find("class 9"), other = html.find("class 1<");
  ASSERT_NE(worst, std::string::npos);
  ASSERT_NE(other, std::string::npos);
  EXPECT_LT(worst, other);
  EXPECT_THAT(html, HasSubstr("<span class=\"warn-text\">\u22122.00</span>"));
}

TEST(Slices, ThatChangedAlikeBeginWhereLeastIsRight) {
  Json metrics = test::full_metrics();
  Json& slices = metrics["evidence"]["pairs"][0]["slices"];
  Json broken = slices[1];
  broken.update({{"slice", "camera = broken"}, {"accuracy_a", 0.1}, {"accuracy_b", 0.1}});
  slices.push_back(broken);
  const std::string html = page_of(metrics);
  EXPECT_LT(html.find("class 9"), html.find("camera = broken"));
  EXPECT_LT(html.find("camera = broken"), html.find("class 1<"));
}

TEST(Layers, BelowTwentyDecibelsStandOut) {
  Json metrics = test::full_metrics();
  EXPECT_THAT(page_of(metrics), AllOf(HasSubstr(">17.5\u00a0dB</td>"), HasSubstr("of training and of rounding")))
      << "not where QAT changed the weights";
  metrics["int8"]["method"] = "static";
  const std::string html = page_of(metrics);
  EXPECT_THAT(html, HasSubstr("<span class=\"warn-text\">17.5\u00a0dB</span>"));
  EXPECT_THAT(html, HasSubstr(">41.2\u00a0dB</td>"));
  EXPECT_THAT(html, HasSubstr("16 levels, a step is 0.1; 50.00\u00a0% are 0, and in no bar"));
  EXPECT_THAT(html, HasSubstr("255 levels, one in 2 drawn, a step is 0.003 to 0.0036, one scale a channel"));
}

TEST(Repeat, GivesTheCommandOfTheRun) {
  EXPECT_THAT(page_of(test::full_metrics()), HasSubstr("<code>detent run mnist-cnn --set train.epochs=3</code>"));
  Json metrics = test::full_metrics();
  metrics["recipe"] = "my net";
  metrics["record"].erase("command");
  EXPECT_THAT(page_of(metrics), HasSubstr("<code>detent run &#39;my net&#39; --seed 1 --set train.epochs=3</code>"));
  EXPECT_THAT(page_of(metrics), HasSubstr("epochs = 2 # &quot;two&quot;"));
  EXPECT_THAT(page_of(metrics), HasSubstr("detent 0.1.0, hdf5 1.10.8"));
}

TEST(SeveralRuns, StandSideBySideWithTheirCurvesInOneChart) {
  Json second = test::full_metrics();
  second["recipe"] = "mnist-mlp";
  second["check"]["failures"] = {"too low"};
  second["layers"]["rows"].erase(0);
  const std::string html = page({{.name = "one", .metrics = test::full_metrics()}, {.name = "two", .metrics = second}});
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_THAT(html, HasSubstr("<th scope=\"col\">one</th><th scope=\"col\">two</th>"));
  EXPECT_THAT(html, HasSubstr("1 of 2 are safe to ship"));
  EXPECT_THAT(html, HasSubstr("</svg>one</li>"));
  EXPECT_THAT(html, HasSubstr("</svg>two, validation</li>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">conv1</th><td>41.2\u00a0dB</td><td></td>"));
  EXPECT_THAT(html, Not(HasSubstr("http:")));
}

TEST(SeveralRuns, MustBeAtLeastOne) {
  EXPECT_THAT(error_of([] { page({}); }), HasSubstr("there is no run"));
}

}  // namespace
}  // namespace detent::report::html::page_test
