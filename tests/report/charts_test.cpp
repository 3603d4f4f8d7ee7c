#include "detent/report/html/charts/charts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "detent/report/html/charts/axis.h"
#include "detent/report/html/text.h"
#include "tests/report/well_formed.h"

namespace detent::report::html::charts_test {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pointwise;

std::size_t occurrences(const std::string& text, const std::string& of) {
  std::size_t count = 0;
  for (std::size_t at = text.find(of); at != std::string::npos; at = text.find(of, at + of.size())) {
    ++count;
  }
  return count;
}

TEST(Axis, GoesFromValuesToPlaces) {
  const Axis axis(10.0, 20.0, 100.0, 0.0);
  EXPECT_DOUBLE_EQ(axis.at(10.0), 100.0);
  EXPECT_DOUBLE_EQ(axis.at(12.5), 75.0);
  EXPECT_DOUBLE_EQ(axis.at(99.0), 0.0) << "what lies beyond stays at the end";
  const Axis decades(1.0, 100.0, 0.0, 10.0, true);
  EXPECT_DOUBLE_EQ(decades.at(10.0), 5.0);
  EXPECT_DOUBLE_EQ(decades.at(-3.0), 0.0);
}

TEST(Axis, TicksAreRoundAndWithin) {
  EXPECT_THAT(Axis(0.0, 1.0, 0.0, 1.0).ticks(5), Pointwise(DoubleNear(1e-12), {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}));
  EXPECT_THAT(Axis(-0.3, 0.45, 0.0, 1.0).ticks(4), Pointwise(DoubleNear(1e-12), {-0.2, 0.0, 0.2, 0.4}));
  EXPECT_THAT(Axis(3.0, 2500.0, 0.0, 1.0, true).ticks(6), Pointwise(DoubleNear(1e-9), {10.0, 100.0, 1000.0}));
  EXPECT_THAT(Axis(0.9, 5.5, 0.0, 1.0, true).ticks(6), Pointwise(DoubleNear(1e-9), {1.0, 2.0, 5.0}));
}

TEST(Axis, IsOneForAnyNumbers) {
  const double inf = std::numeric_limits<double>::infinity();
  for (const bool is_log : {false, true}) {
    for (const auto& [low, high] :
         {std::pair(0.0, 0.0), std::pair(7.0, 7.0), std::pair(-inf, inf), std::pair(5.0, 1.0), std::pair(-3.0, -3.0)}) {
      const Axis axis(low, high, 0.0, 1.0, is_log);
      EXPECT_LT(axis.low(), axis.high()) << low << ' ' << high << ' ' << is_log;
      EXPECT_LE(axis.ticks(5).size(), 11U);
    }
  }
}

LineChart two_lines() {
  return {.title = "Loss <1>",
          .description = "what & why",
          .x_label = "epoch",
          .y_label = "loss",
          .series = {{.name = "a<b", .points = {{1.0, 4.0}, {2.0, 2.0}, {3.0, 1.0}}, .look = 0},
                     {.name = "other", .points = {{1.0, 3.0}, {3.0, 3.0}}, .look = 1}},
          .x_text = short_number,
          .y_text = short_number,
          .mark = 2.5,
          .mark_label = "QAT"};
}

// Four bins of 76 units; the highest share, 0.64, stands 88 units high, 0.16 half as high.
TEST(BinShares, AreColumnsOfThenAndALineOfNow) {
  const BinShares bins{.title = "a<b",
                       .description = "what & why",
                       .x_label = "code",
                       .bounds = {-1e-45, 20.0, 30.0},
                       .before = {0.0, 0.64, 0.36, 0.0},
                       .now = {0.16, 0.64, 0.0, 0.2}};
  const std::string html = to_html(bins);
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_THAT(html, HasSubstr("<title>a&lt;b</title><desc>what &amp; why</desc>"));
  EXPECT_THAT(html, HasSubstr("<rect class=\"reach\" x=\"84.0\" y=\"8\" width=\"152.0\" height=\"88\"/>"));
  EXPECT_THAT(html, HasSubstr("<path class=\"then\" d=\"M84.5 96v-88.0h75.0v88.0zM160.5 96v-66.0h75.0v66.0z\"/>"));
  EXPECT_THAT(html, HasSubstr("<path class=\"beyond\" d=\"M8.5 96v-44.0h75.0v44.0zM236.5 96v-49.2h75.0v49.2z\"/>"));
  EXPECT_THAT(html, HasSubstr("<path class=\"now\" d=\"M8 96V52.0H84.0V8.0H160.0V96.0H236.0V46.8H312.0V96\"/>"));
  EXPECT_EQ(occurrences(html, "<text"), 4U) << "three bounds and what they are";
  EXPECT_THAT(html, HasSubstr("x=\"84.0\" y=\"111.0\" text-anchor=\"middle\">0</text>")) << "just below 0";
}

TEST(BinShares, LeaveOutLabelsThatWouldMeet) {
  BinShares bins{.bounds = {}, .before = {0.1}, .now = {0.1}};
  for (int i = 0; i < 11; ++i) {
    bins.bounds.push_back(-0.1234 - i);
    bins.before.push_back(0.1);
    bins.now.push_back(0.1);
  }
  EXPECT_EQ(occurrences(to_html(bins), "<text"), 6U) << "the first, then every other one, and what they are";
}

TEST(BinShares, AreNothingWithoutShares) {
  EXPECT_EQ(to_html(BinShares{}), "");
  EXPECT_EQ(to_html(BinShares{.bounds = {1.0}, .before = {0.5, 0.5}, .now = {1.0}}), "");
  EXPECT_EQ(to_html(BinShares{.bounds = {}, .before = {0.5, 0.5}, .now = {0.5, 0.5}}), "");
  EXPECT_EQ(to_html(BinShares{.bounds = {1.0}, .before = {0.0, 0.0}, .now = {0.0, 0.0}}), "");
}

TEST(LineChart, HasALineASeriesAndSaysWhatItShows) {
  const std::string html = to_html(two_lines());
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_EQ(occurrences(html, "<polyline"), 2U);
  EXPECT_EQ(occurrences(html, "<circle"), 5U);
  EXPECT_THAT(html, HasSubstr("<title>Loss &lt;1&gt;</title><desc>what &amp; why</desc>"));
  EXPECT_THAT(html, HasSubstr("role=\"img\""));
  EXPECT_THAT(html, HasSubstr("a&lt;b"));
  EXPECT_THAT(html, HasSubstr(">QAT</text>"));
}

TEST(LineChart, OfNothingIsNothing) {
  LineChart chart = two_lines();
  chart.series = {{.name = "empty"}};
  EXPECT_EQ(to_html(chart), "");
}

TEST(LineChart, OfOnePointIsDrawn) {
  LineChart chart = two_lines();
  chart.log_y = true;
  chart.series = {{.name = "", .points = {{1.0, 0.0}}}};
  const std::string html = to_html(chart);
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_THAT(html, Not(HasSubstr("nan")));
  EXPECT_THAT(html, Not(HasSubstr("legend"))) << "a single series without a name";
}

Histogram sixteen_levels() {
  return {.title = "conv1",
          .description = "",
          .x_label = "value",
          .lower = 0.0,
          .width = 0.5,
          .counts = {4.0, 1.0, 0.0, 1.0},
          .grid = Grid{.first = 0.0, .step = 0.1, .levels = 16}};
}

TEST(Histogram, DrawsBarsAndEveryLevelOfItsGrid) {
  const std::string html = to_html(sixteen_levels());
  EXPECT_EQ(test::fault_of(html), "");
  const std::size_t at = html.find("class=\"level\"");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(occurrences(html.substr(at, html.find("/>", at) - at), "M"), 16U);
  const std::size_t bars = html.find("class=\"column\"");
  ASSERT_NE(bars, std::string::npos);
  EXPECT_EQ(occurrences(html.substr(bars, html.find("/>", bars) - bars), "M"), 3U) << "an empty bin has no bar";
  EXPECT_THAT(html, HasSubstr("v-88.0h")) << "the highest";
  EXPECT_THAT(html, HasSubstr("v-44.0h")) << "a quarter of the count is half as high";
  EXPECT_EQ(drawn_every(sixteen_levels()), 1);
}

TEST(Histogram, DrawsOneInSoManyLevelsWhereTheyAreNear) {
  Histogram histogram = sixteen_levels();
  histogram.grid = Grid{.first = 0.0, .step = 2.0 / 255.0, .levels = 256};
  EXPECT_EQ(drawn_every(histogram), 2) << "384 units for 256 levels are 1.5 each";
}

TEST(Histogram, OfNothingIsNothing) {
  Histogram histogram = sixteen_levels();
  histogram.counts = {0.0, 0.0};
  EXPECT_EQ(to_html(histogram), "");
  histogram = sixteen_levels();
  histogram.width = 0.0;
  EXPECT_EQ(to_html(histogram), "");
}

TEST(HeatMap, WritesItsNumbersAndTellsRightFromWrong) {
  const HeatMap map{.title = "Confusion", .names = {"cat", "dogs and more"}, .counts = {{8.0, 2.0}, {0.0, 10.0}}};
  const std::string html = to_html(map);
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_EQ(occurrences(html, "class=\"right\""), 2U);
  EXPECT_EQ(occurrences(html, "class=\"wrong\""), 1U) << "where nothing was counted, nothing is drawn";
  EXPECT_THAT(html, HasSubstr("dogs \u2026</text>"));
  EXPECT_EQ(to_html(HeatMap{.counts = {{1.0, 2.0}}}), "") << "not square";
  EXPECT_EQ(to_html(HeatMap{}), "");
}

TEST(QuantileStrips, HasARowAThing) {
  const QuantileStrips strips{.title = "Latency",
                              .rows = {{"float", 0.1, 0.2, 0.4, 2.0}, {"int8", 0.01, 0.02, 0.04, 0.1}},
                              .text = milliseconds};
  const std::string html = to_html(strips);
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_EQ(occurrences(html, "<circle"), 2U);
  EXPECT_EQ(occurrences(html, "class=\"thick"), 6U);
}

TEST(NetworkPicture, EdgesThatSkipNodesRunBesideThem) {
  NetworkPicture picture{.title = "net"};
  picture.nodes = {{.name = "input"},
                   {.name = "conv1", .is_codes = true, .inputs = {0}},
                   {.name = "conv2", .is_codes = true, .inputs = {1}},
                   {.name = "add1", .is_codes = true, .inputs = {2, 1}}};
  const std::string html = to_html(picture);
  EXPECT_EQ(test::fault_of(html), "");
  EXPECT_EQ(occurrences(html, "class=\"edge\""), 4U) << "three straight ones, and one around conv2";
  EXPECT_EQ(occurrences(html, "class=\"box codes\""), 3U);
}

TEST(NetworkPicture, ALongNameIsShortened) {
  NetworkPicture picture;
  picture.nodes = {{.name = std::string(500, 'x')}};
  EXPECT_THAT(to_html(picture), Not(HasSubstr(std::string(60, 'x'))));
}

TEST(Whisker, IsOrangeWhereTheWholeIntervalIsBelowZero) {
  EXPECT_THAT(whisker(-2.0, std::pair(-3.0, -1.0), 4.0), HasSubstr("dot warn"));
  EXPECT_THAT(whisker(-2.0, std::pair(-5.0, 1.0), 4.0), Not(HasSubstr("dot warn")));
  EXPECT_EQ(test::fault_of(whisker(0.0, std::nullopt, 0.0)), "");
}

}  // namespace
}  // namespace detent::report::html::charts_test
