#include "detent/evaluation/allocate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/core/philox.h"
#include "detent/report/sensitivity_table.h"
#include "tests/error_of.h"

namespace detent::allocate_test {
namespace {

using namespace evaluation;
using testing::ElementsAre;
using testing::HasSubstr;

using Things = std::vector<std::vector<Choice>>;

/// The least value of all selections within the limit; of those the least weight.
std::optional<Selection> by_brute_force(const Things& things, std::int64_t limit) {
  std::optional<Selection> best;
  std::vector<std::size_t> chosen(things.size(), 0);
  for (;;) {
    Selection selection{.chosen = chosen};
    for (std::size_t i = 0; i < things.size(); ++i) {
      selection.weight += things[i][chosen[i]].weight;
      selection.value += things[i][chosen[i]].value;
    }
    const bool is_better =
        !best || selection.value < best->value || (selection.value == best->value && selection.weight < best->weight);
    if (selection.weight <= limit && is_better) {
      best = selection;
    }
    std::size_t i = 0;
    while (i < things.size() && ++chosen[i] == things[i].size()) {
      chosen[i++] = 0;
    }
    if (i == things.size()) {
      return best;
    }
  }
}

/// Things with 1 to 4 forms; most weigh more the less they cost.
Things random_things(RandomStream& random, std::size_t count) {
  Things things(count);
  for (std::vector<Choice>& forms : things) {
    forms.resize(1 + random.index(4));
    for (Choice& form : forms) {
      form.weight = random.index(100);
      form.value = static_cast<double>(random.uniform(-0.1F, 1.0F)) - 0.01 * static_cast<double>(form.weight);
    }
  }
  return things;
}

TEST(Select, IsAsGoodAsTheBestOfAllSelections) {
  constexpr std::uint64_t kSeed = 7;
  RandomStream random(kSeed, "selections");
  int feasible = 0;
  for (int trial = 0; trial < 300; ++trial) {
    SCOPED_TRACE("seed " + std::to_string(kSeed) + ", trial " + std::to_string(trial));
    const Things things = random_things(random, 1 + random.index(7));
    const std::int64_t limit = random.index(300);
    const std::optional<Selection> expected = by_brute_force(things, limit);
    const std::optional<Selection> found = select(things, limit);
    const std::optional<Selection> greedy = select(things, limit, 0);
    ASSERT_EQ(found.has_value(), expected.has_value());
    ASSERT_EQ(greedy.has_value(), expected.has_value());
    if (expected) {
      ++feasible;
      EXPECT_TRUE(found->is_exact);
      EXPECT_EQ(found->value, expected->value);
      EXPECT_EQ(found->weight, expected->weight);
      EXPECT_FALSE(greedy->is_exact);
      EXPECT_LE(greedy->weight, limit);
      EXPECT_GE(greedy->value, expected->value - 1e-12);
    }
  }
  EXPECT_GT(feasible, 150);
}

TEST(Select, IsExactForTwentyThingsOfFourForms) {
  RandomStream random(1, "twenty");
  Things things(20, std::vector<Choice>(4));
  for (std::vector<Choice>& forms : things) {
    const auto weights = static_cast<std::int64_t>(100 + random.index(50000));
    for (std::size_t i = 0; i < 4; ++i) {
      const std::int64_t bits = std::vector<std::int64_t>{8, 4, 3, 2}[i];
      forms[i] = {weights * bits / 8,
                  static_cast<double>(random.uniform(0.5F, 1.0F)) / static_cast<double>(bits * bits)};
    }
  }
  const std::optional<Selection> found = select(things, 200000);
  ASSERT_TRUE(found.has_value());
  EXPECT_TRUE(found->is_exact);
  const std::optional<Selection> greedy = select(things, 200000, 0);
  EXPECT_LE(found->value, greedy->value);
  EXPECT_LT(greedy->value, 1.2 * found->value) << "greedy is near";
}

TEST(Select, GreedyTakesTheCheapestChangeAUnitThenSpendsWhatIsLeft) {
  // From 10 + 10 down to 12: the second thing costs 0.1 a unit, the first 0.2 and more. Then 2 units are left.
  const Things things{{{10, 0.0}, {5, 1.0}}, {{10, 0.0}, {1, 0.9}, {2, 0.85}}};
  const std::optional<Selection> greedy = select(things, 12, 0);
  EXPECT_THAT(greedy->chosen, ElementsAre(0, 2));
  EXPECT_EQ(greedy->weight, 12);
  EXPECT_EQ(greedy->value, 0.85);
}

TEST(Select, Edges) {
  EXPECT_TRUE(select(Things{}, 0)->chosen.empty());
  EXPECT_EQ(select(Things{}, -1), std::nullopt);
  EXPECT_EQ(select(Things{{{3, 1.0}}}, 2), std::nullopt);
  EXPECT_THAT(select(Things{{{3, 1.0}}}, 3)->chosen, ElementsAre(0));
  EXPECT_THAT(select(Things{{{3, 1.0}, {2, 1.0}}}, 3)->chosen, ElementsAre(1)) << "the lighter of equal ones";
  EXPECT_THAT(error_of([] { select(Things{{}}, 3); }), HasSubstr("no form to choose"));
}

/// Three layers of 80, 800 and 80 weights without scales and biases. Losses by bits, and examples that are right.
Sensitivity three_layers() {
  Sensitivity sensitivity{.settings = {.bits = {8, 4, 2}},
                          .trial = {.images = 100},
                          .float_score = {.loss = 1.0, .fit = {.correct = 90}},
                          .layers = {}};
  const auto layer = [](const std::string& name, std::int64_t weights, std::vector<double> losses,
                        std::vector<std::int64_t> correct) {
    LayerSensitivity result{.names = {name}, .size = {.weights = weights}};
    for (std::size_t i = 0; i < 3; ++i) {
      result.points.push_back(
          {std::vector<int>{8, 4, 2}[i], {.loss = 1.0 + losses[i], .fit = {.correct = correct[i]}}});
    }
    return result;
  };
  sensitivity.layers = {layer("first", 80, {0.0, 0.5, 2.0}, {90, 88, 80}),
                        layer("middle", 800, {0.0, 0.25, 1.0}, {91, 89, 85}),
                        layer("last", 80, {0.0, 0.125, 0.25}, {90, 90, 89})};
  return sensitivity;
}

std::vector<int> bits_of(const Sensitivity& sensitivity, const Allocation& allocation) {
  std::vector<int> bits;
  for (std::size_t i = 0; i < allocation.points.size(); ++i) {
    bits.push_back(sensitivity.layers[i].points[allocation.points[i]].bits);
  }
  return bits;
}

TEST(Allocate, LeastLossOfASize) {
  const Sensitivity sensitivity = three_layers();
  // 960 bytes at 8 bits. Of 560 the middle layer must give 400, and does.
  const Allocation half = allocate_by_size(sensitivity, 560, Ends::AsOthers);
  EXPECT_THAT(bits_of(sensitivity, half), ElementsAre(8, 4, 8));
  EXPECT_EQ(half.bytes, 560);
  EXPECT_EQ(half.float_bytes, 3840);
  EXPECT_DOUBLE_EQ(half.loss_increase, 0.25);
  EXPECT_EQ(half.drop, 1);
  EXPECT_TRUE(half.is_exact);
  EXPECT_THAT(bits_of(sensitivity, allocate_by_size(sensitivity, 559, Ends::AsOthers)), ElementsAre(8, 4, 4));
  EXPECT_THAT(bits_of(sensitivity, allocate_by_size(sensitivity, 960, Ends::AsOthers)), ElementsAre(8, 8, 8));
  EXPECT_THAT(bits_of(sensitivity, allocate_by_size(sensitivity, 559, Ends::EightBits)), ElementsAre(8, 2, 8));
  EXPECT_THAT(error_of([&] { allocate_by_size(sensitivity, 239, Ends::AsOthers); }),
              HasSubstr("at least 240 bytes of 3840 in float, more than 239"));
  EXPECT_THAT(error_of([&] { allocate_by_size(sensitivity, 359, Ends::EightBits); }), HasSubstr("at least 360 bytes"));
}

TEST(Allocate, LeastSizeOfADrop) {
  const Sensitivity sensitivity = three_layers();
  // The middle layer drops 1 example at 4 bits and 5 at 2. That it wins one at 8 pays for nothing.
  EXPECT_THAT(bits_of(sensitivity, allocate_by_drop(sensitivity, 0, Ends::AsOthers)), ElementsAre(8, 8, 4));
  EXPECT_THAT(bits_of(sensitivity, allocate_by_drop(sensitivity, 1, Ends::AsOthers)), ElementsAre(8, 4, 4));
  EXPECT_THAT(bits_of(sensitivity, allocate_by_drop(sensitivity, 2, Ends::AsOthers)), ElementsAre(8, 4, 2));
  EXPECT_THAT(bits_of(sensitivity, allocate_by_drop(sensitivity, 100, Ends::AsOthers)), ElementsAre(2, 2, 2));
  EXPECT_THAT(bits_of(sensitivity, allocate_by_drop(sensitivity, 100, Ends::EightBits)), ElementsAre(8, 2, 8));
  Sensitivity bad = sensitivity;
  for (SensitivityPoint& point : bad.layers[1].points) {
    point.score.fit.correct -= 10;
  }
  EXPECT_THAT(error_of([&] { allocate_by_drop(bad, 3, Ends::AsOthers); }),
              HasSubstr("at least 9 of 100 examples, more than 3"));
}

/// One column of values of deviation 8, so that R2 = 1 - squared_error / 8.
TargetScore r2_with(double squared_error) {
  return {.targets = data::TargetKind::kValues,
          .examples = 4,
          .columns = {{.deviation = 8.0, .squared_error = squared_error}}};
}

TEST(Allocate, OfValuesADropIsInMillionthsOfR2) {
  Sensitivity sensitivity = three_layers();
  sensitivity.float_score.fit = r2_with(1.0);
  const std::vector<std::vector<double>> errors{{1.0, 2.0, 8.0}, {0.5, 1.5, 4.0}, {1.0, 1.0, 1.25}};
  for (std::size_t layer = 0; layer < 3; ++layer) {
    for (std::size_t point = 0; point < 3; ++point) {
      sensitivity.layers[layer].points[point].score.fit = r2_with(errors[layer][point]);
    }
  }
  // 0.875 in float; with the first layer on 4 bits 0.75.
  EXPECT_EQ(sensitivity.whole(), 1'000'000);
  EXPECT_EQ(sensitivity.drop(sensitivity.layers[0].points[1].score), 125'000);
  EXPECT_EQ(sensitivity.drop(sensitivity.layers[1].points[0].score), -62'500);
  EXPECT_DOUBLE_EQ(sensitivity.share(125'000), 0.125);
  EXPECT_EQ(sensitivity.drop({.fit = r2_with(1e30)}), 1'000'000'000'000) << "so that sums do not overflow";
  EXPECT_THAT(bits_of(sensitivity, allocate_by_drop(sensitivity, 0, Ends::AsOthers)), ElementsAre(8, 8, 4));
  EXPECT_THAT(bits_of(sensitivity, allocate_by_drop(sensitivity, 62'500, Ends::AsOthers)), ElementsAre(8, 4, 4));
  EXPECT_THAT(bits_of(sensitivity, allocate_by_drop(sensitivity, 62'499, Ends::AsOthers)), ElementsAre(8, 8, 2));
  const Allocation some = allocate_by_drop(sensitivity, 125'000, Ends::AsOthers);
  const std::string text = report::to_text(sensitivity, some, sensitivity.layers[0].points[1].score);
  EXPECT_THAT(text, HasSubstr("R2 lost"));
  EXPECT_THAT(text, HasSubstr("0.1250 of R2 lost, the whole model on codes"));
  EXPECT_THAT(text, testing::Not(HasSubstr("predictions changed")));
  for (SensitivityPoint& point : sensitivity.layers[1].points) {
    point.score.fit = r2_with(2.0);
  }
  EXPECT_THAT(error_of([&] { allocate_by_drop(sensitivity, 3, Ends::AsOthers); }),
              HasSubstr("drop at least 125000 of 1000000 millionths of R2, more than 3"));
}

TEST(Allocate, EndsOfEightBitsMustBeMeasured) {
  Sensitivity sensitivity = three_layers();
  sensitivity.layers[2].points.erase(sensitivity.layers[2].points.begin());
  EXPECT_THAT(error_of([&] { allocate_by_size(sensitivity, 960, Ends::EightBits); }),
              HasSubstr("last is to have 8 bits, which were not measured"));
}

TEST(BarChart, DrawsAPositiveValueADecadeFromTheLeast) {
  const report::BarChart chart{.title = "a < b",
                               .axis = "loss",
                               .groups = {"conv1", "fc"},
                               .series = {"8 bits", "2 bits"},
                               .values = {{1e-3, 1e-1}, {-0.5, 1e-2}}};
  const std::string svg = report::to_svg(chart);
  EXPECT_THAT(svg, HasSubstr("<title>a &lt; b</title>"));
  // Two decades over 560: 1e-2 and 1e-1 are half of it and all of it; no bar for what is negative or at the beginning.
  EXPECT_THAT(svg, HasSubstr("width=\"560.0\""));
  EXPECT_THAT(svg, HasSubstr("width=\"280.0\""));
  std::size_t bars = 0;
  for (std::size_t at = svg.find("<rect"); at != std::string::npos; at = svg.find("<rect", at + 1)) {
    ++bars;
  }
  EXPECT_EQ(bars, 1U + 2U + 2U) << "background, legend, bars";
  EXPECT_THAT(svg, HasSubstr(">-0.5</text>"));
  EXPECT_THAT(error_of([] { report::to_svg({.groups = {"a"}, .series = {"b"}, .values = {{}}}); }),
              HasSubstr("a has 0 values of 1 series"));
}

}  // namespace
}  // namespace detent::allocate_test
