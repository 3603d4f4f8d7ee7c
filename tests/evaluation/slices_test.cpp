#include "detent/evaluation/evidence/slices.h"

#include <gmock/gmock.h>

#include <cmath>

#include "detent/core/threads/parallel.h"
#include "detent/evaluation/evidence/image_measures.h"
#include "tests/error_of.h"

namespace detent::evaluation::slices_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Images of 6 x 6 pixels.
data::Dataset images_of(const std::vector<std::vector<std::uint8_t>>& images, const std::vector<std::int32_t>& labels) {
  data::Dataset dataset{.name = "images",
                        .examples = Tensor::empty({static_cast<std::int64_t>(images.size()), 6, 6, 1}, DType::U8),
                        .labels = Tensor::from(labels, {static_cast<std::int64_t>(labels.size())}),
                        .classes = 2};
  std::span<std::uint8_t> to = dataset.examples.data<std::uint8_t>();
  for (std::size_t i = 0; i < images.size(); ++i) {
    std::ranges::copy(images[i], to.begin() + static_cast<std::ptrdiff_t>(36 * i));
  }
  return dataset;
}

// Rows of one number, with columns.
data::Dataset rows_of(std::vector<data::Column> columns, const std::vector<std::int32_t>& labels) {
  const auto count = static_cast<std::int64_t>(labels.size());
  return {.name = "rows",
          .examples = Tensor::zeros({count, 1}, DType::F32),
          .labels = Tensor::from(labels, {count}),
          .classes = 2,
          .class_names = {"cat", "dog"},
          .columns = std::move(columns)};
}

std::vector<std::string> names_of(const std::vector<Slice>& slices) {
  std::vector<std::string> names;
  for (const Slice& slice : slices) {
    names.push_back(slice.name);
  }
  return names;
}

const Slice& named(const std::vector<Slice>& slices, const std::string& name) {
  const auto found = std::ranges::find(slices, name, &Slice::name);
  EXPECT_NE(found, slices.end()) << name << " is none of " << testing::PrintToString(names_of(slices));
  return found == slices.end() ? slices.front() : *found;
}

TEST(ImageMeasures, AreThoseOfTheirFormulas) {
  std::vector<std::uint8_t> bar(36, 0);  // 2 x 4 pixels of ink: area 8, boundary 12
  for (const std::size_t pixel : {7, 8, 9, 10, 13, 14, 15, 16}) {
    bar[pixel] = 255;
  }
  const data::Dataset images =
      images_of({bar, std::vector<std::uint8_t>(36, 0), std::vector<std::uint8_t>(36, 127)}, {0, 0, 0});
  const std::vector<ImageMeasure>& measures = image_measures();
  ASSERT_EQ(measures.size(), 3U);
  EXPECT_EQ(measures[0].name, "brightness");
  const std::vector<double> brightness = measured(measures[0], images);
  EXPECT_NEAR(brightness[0], 8.0 / 36.0, 1e-12);
  EXPECT_EQ(brightness[1], 0.0);
  EXPECT_NEAR(brightness[2], 127.0 / 255.0, 1e-12);
  EXPECT_EQ(measures[1].name, "contrast");
  const std::vector<double> contrast = measured(measures[1], images);
  EXPECT_NEAR(contrast[0], std::sqrt(8.0 / 36.0 * 28.0 / 36.0), 1e-12);
  EXPECT_EQ(contrast[1], 0.0);
  EXPECT_NEAR(contrast[2], 0.0, 1e-7);
  EXPECT_EQ(measures[2].name, "stroke_thickness");
  const std::vector<double> thickness = measured(measures[2], images);
  EXPECT_NEAR(thickness[0], 16.0 / 12.0, 1e-12);
  EXPECT_EQ(thickness[1], 0.0) << "no ink";
  EXPECT_EQ(thickness[2], 0.0) << "127 is below half";
}

TEST(ImageMeasures, TakeTheMeanOfChannels) {
  data::Dataset pair{.name = "colour",
                     .examples = Tensor::from<std::uint8_t>({255, 255, 0, 255, 0, 0}, {2, 1, 1, 3}),
                     .labels = Tensor::from<std::int32_t>({0, 0}, {2}),
                     .classes = 1};
  EXPECT_THAT(measured(image_measures()[2], pair), ElementsAre(0.5, 0.0)) << "one pixel has four sides";
}

TEST(Slices, AreClassesValuesQuartilesAndTexts) {
  data::Column many{.name = "size"};
  for (int i = 0; i < 16; ++i) {
    many.numbers.push_back(15.0 - i);
  }
  data::Column few{.name = "year"};
  data::Column text{.name = "camera"};
  std::vector<std::int32_t> labels;
  for (int i = 0; i < 16; ++i) {
    few.numbers.push_back(i == 3 ? std::nan("") : i % 2 == 0 ? 2020.0 : 2021.0);
    text.texts.emplace_back(i < 5 ? "north" : "south");
    labels.push_back(i < 12 ? 0 : 1);
  }
  const std::vector<Slice> slices = slices_of(rows_of({many, few, text}, labels));
  EXPECT_THAT(names_of(slices),
              ElementsAre("class = cat", "class = dog", "size < 4", "size 4 to 8", "size 8 to 12", "size >= 12",
                          "year = 2020", "year = 2021", "camera = south", "camera = north"));
  EXPECT_THAT(named(slices, "class = dog").examples, ElementsAre(12, 13, 14, 15));
  EXPECT_THAT(named(slices, "size < 4").examples, ElementsAre(12, 13, 14, 15));
  EXPECT_THAT(named(slices, "size 8 to 12").examples, ElementsAre(4, 5, 6, 7));
  EXPECT_THAT(named(slices, "year = 2021").examples, ElementsAre(1, 5, 7, 9, 11, 13, 15)) << "example 3 has no year";
  EXPECT_THAT(named(slices, "camera = north").examples, ElementsAre(0, 1, 2, 3, 4));
}

TEST(Slices, AreWhatRulesSay) {
  const data::Dataset rows = rows_of({{.name = "age of it", .numbers = {10, 20, 30, std::nan(""), 50}},
                                      {.name = "camera", .texts = {"a", "b", "a", "b", "a"}}},
                                     {0, 1, 0, 1, 1});
  const auto examples = [&](const std::string& rule) {
    const SliceRule parsed = parse_slice("mine", rule);
    const std::vector<Slice> slices = slices_of(rows, std::span(&parsed, 1));
    return slices.front().name == "mine" ? slices.front().examples : std::vector<std::int64_t>();
  };
  EXPECT_THAT(examples("age of it < 30"), ElementsAre(0, 1));
  EXPECT_THAT(examples("age of it<=30"), ElementsAre(0, 1, 2));
  EXPECT_THAT(examples("age of it >= 20 and age of it < 50"), ElementsAre(1, 2));
  EXPECT_THAT(examples("age of it != 20"), ElementsAre(0, 2, 3, 4)) << "what is missing is not 20";
  EXPECT_THAT(examples("age of it = 1e1"), ElementsAre(0));
  EXPECT_THAT(examples("age of it >= 50 %"), ElementsAre(2, 4)) << "of 10 20 30 50";
  EXPECT_THAT(examples("class = dog and camera != b"), ElementsAre(4));
  EXPECT_THAT(examples("class = cat"), ElementsAre(0, 2));
  const SliceRule known = parse_slice("class = cat", "class = cat");
  EXPECT_EQ(std::ranges::count(names_of(slices_of(rows, std::span(&known, 1))), "class = cat"), 1);
  EXPECT_THAT(examples("class = bird"), ElementsAre()) << "a slice without examples is left out";
}

TEST(Slices, FeaturesAreColumnsToo) {
  data::Dataset rows = rows_of({{.name = "site", .texts = {"a", "b", "a"}}}, {0, 1, 0});
  rows.examples = Tensor::from<float>({1.5F, 0, 1, 0, 7,  //
                                       2.5F, 1, 0, 0, 8,  //
                                       3.5F, 0, 0, 0, 9},
                                      {3, 5});
  rows.feature_names = {"length", "colour=red", "colour=blue", "a=b", "site"};
  EXPECT_THAT(names_of(slices_of(rows)),
              ElementsAre("class = cat", "class = dog", "site = a", "site = b", "length = 1.5", "length = 2.5",
                          "length = 3.5", "colour = ", "colour = blue", "colour = red", "a=b = 0"))
      << "a column beside the examples hides the feature of its name";
  const auto examples = [&](const std::string& rule) {
    const SliceRule parsed = parse_slice("mine", rule);
    return slices_of(rows, std::span(&parsed, 1)).front().examples;
  };
  EXPECT_THAT(examples("length < 3 and colour != blue"), ElementsAre(1));
  EXPECT_THAT(examples("colour = blue"), ElementsAre(0));
}

TEST(Slices, OfManyFeaturesAreByRulesAlone) {
  data::Dataset rows = rows_of({}, {0, 1});
  std::vector<float> values;
  for (std::size_t f = 0; f <= kMostFeatures; ++f) {
    rows.feature_names.push_back("f" + std::to_string(f));
  }
  for (std::size_t i = 0; i < 2 * rows.feature_names.size(); ++i) {
    values.push_back(static_cast<float>(i));
  }
  rows.examples = Tensor::from(values, {2, std::ssize(rows.feature_names)});
  EXPECT_THAT(names_of(slices_of(rows)), ElementsAre("class = cat", "class = dog"));
  const SliceRule rule = parse_slice("mine", "f32 >= 33 and f3 < 100");
  EXPECT_THAT(slices_of(rows, std::span(&rule, 1)).front().examples, ElementsAre(1));
}

TEST(Slices, RefuseWhatTheDataDoNotHave) {
  const data::Dataset rows =
      rows_of({{.name = "camera", .texts = {"a", "b"}}, {.name = "age", .numbers = {1, 2}}}, {0, 1});
  const auto error = [&](const std::string& rule) {
    return error_of([&] {
      const SliceRule parsed = parse_slice("mine", rule);
      slices_of(rows, std::span(&parsed, 1));
    });
  };
  EXPECT_THAT(error("brightness < 1"),
              HasSubstr("slice 'mine': rows has no 'brightness'; expected one of class, camera, age"));
  EXPECT_THAT(error("camera < a"), HasSubstr("camera has texts, which are compared with = and != alone"));
  EXPECT_THAT(error("age < old"), HasSubstr("age: expected a number, or a percentile such as 10 %, got 'old'"));
  EXPECT_THAT(error("age < 101 %"), HasSubstr("got '101 %'"));
  EXPECT_THAT(error("age"), HasSubstr("expected a subject, one of < <= > >= = !=, and a value, got 'age'"));
  EXPECT_THAT(error("age < 3 and "), HasSubstr("got ''"));
  EXPECT_THAT(error("age !2"), HasSubstr("got 'age !2'"));
}

TEST(Slices, CutImagesByWhatTheyLookLike) {
  std::vector<std::vector<std::uint8_t>> images;
  for (int i = 0; i < 12; ++i) {
    images.emplace_back(36, static_cast<std::uint8_t>(20 * i));
  }
  const data::Dataset dataset = images_of(images, std::vector<std::int32_t>(12, 0));
  const std::vector<Slice> slices = slices_of(dataset);
  EXPECT_THAT(named(slices, "brightness < 0.2353").examples, ElementsAre(0, 1, 2));
  EXPECT_THAT(named(slices, "brightness >= 0.7059").examples, ElementsAre(9, 10, 11));
  EXPECT_THAT(named(slices, "stroke_thickness = 0").examples.size(), 7U) << "up to 120";
  EXPECT_THAT(named(slices, "stroke_thickness = 3").examples.size(), 5U) << "2 * 36 / 24";
  std::vector<Slice> one_thread;
  ThreadPool pool(1);
  pool.run([&] { one_thread = slices_of(dataset); });
  EXPECT_EQ(names_of(one_thread), names_of(slices));
}

}  // namespace
}  // namespace detent::evaluation::slices_test
