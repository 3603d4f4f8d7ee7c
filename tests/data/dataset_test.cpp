#include "detent/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "detent/data/loader.h"
#include "tests/error_of.h"

namespace detent::data::dataset_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Three examples with two values each, and all that may stand beside them.
Dataset values() {
  return {.name = "houses",
          .examples = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {3, 2}),
          .labels = Tensor::from<float>({0.5F, 1, 1.5F, 2, 2.5F, 3}, {3, 2}),
          .classes = 2,
          .targets = TargetKind::kValues,
          .class_names = {"price", "tax"},
          .columns = {{.name = "year", .numbers = {1990, 2000, std::numeric_limits<double>::quiet_NaN()}},
                      {.name = "town", .texts = {"a", "b", "c"}}},
          .feature_names = {"rooms", "area"},
          .sources = {"line 2", "line 3", "line 4"}};
}

Dataset flags() {
  Dataset dataset = values();
  dataset.targets = TargetKind::kFlags;
  dataset.labels = Tensor::from<float>({0, 1, 1, 1, 0, 0}, {3, 2});
  return dataset;
}

TEST(Dataset, TakesAndChoosesWithAllThatBelongsToAnExample) {
  const std::vector<std::int64_t> indices{2, 0};
  const Dataset chosen = values().subset(indices);
  chosen.validate("chosen");
  EXPECT_THAT(chosen.examples.data<float>(), ElementsAre(5, 6, 1, 2));
  EXPECT_THAT(chosen.labels.data<float>(), ElementsAre(2.5F, 3, 0.5F, 1));
  EXPECT_EQ(chosen.columns[0].numbers[1], 1990);
  EXPECT_THAT(chosen.columns[1].texts, ElementsAre("c", "a"));
  EXPECT_THAT(chosen.sources, ElementsAre("line 4", "line 2"));
  EXPECT_THAT(chosen.class_names, ElementsAre("price", "tax"));
  EXPECT_THAT(chosen.feature_names, ElementsAre("rooms", "area"));
  EXPECT_EQ(chosen.targets, TargetKind::kValues);

  const Dataset first = values().take(2);
  first.validate("first");
  EXPECT_EQ(first.size(), 2);
  EXPECT_THAT(first.columns[1].texts, ElementsAre("a", "b"));
  EXPECT_THAT(first.sources, ElementsAre("line 2", "line 3"));
  EXPECT_EQ(values().take(9).size(), 3);
}

TEST(Dataset, RefusesWhatDoesNotBelongTogether) {
  const auto error = [](Dataset dataset, auto&& change) {
    change(dataset);
    return error_of([&] { dataset.validate("file"); });
  };
  EXPECT_EQ(error(values(), [](Dataset&) {}), "no error");
  EXPECT_EQ(error(flags(), [](Dataset&) {}), "no error");
  EXPECT_THAT(error(values(), [](Dataset& d) { d.labels.data<float>()[3] = std::numeric_limits<float>::infinity(); }),
              HasSubstr("file: values: \"tax\" of example 1 is inf: expected finite numbers"));
  EXPECT_THAT(error(flags(), [](Dataset& d) { d.labels.data<float>()[4] = 0.5F; }),
              HasSubstr("flags: \"price\" of example 2 is 0.5: expected 0 or 1"));
  EXPECT_THAT(error(values(), [](Dataset& d) { d.classes = 3; }),
              HasSubstr("values: expected f32 [N, 3], got f32 [3, 2]"));
  EXPECT_THAT(error(values(), [](Dataset& d) { d.class_names = {"price"}; }), HasSubstr("expected 2, got 1"));
  EXPECT_THAT(error(values(), [](Dataset& d) { d.class_names[1] = "price"; }), HasSubstr("\"price\" is there twice"));
  EXPECT_THAT(error(values(), [](Dataset& d) { d.columns[1].texts.pop_back(); }),
              HasSubstr("column \"town\": expected 3 numbers or texts, got 0 and 2"));
  EXPECT_THAT(error(values(), [](Dataset& d) { d.feature_names.pop_back(); }), HasSubstr("feature names: got 1"));
  EXPECT_THAT(error(values(), [](Dataset& d) { d.sources.pop_back(); }), HasSubstr("sources: expected 3, got 2"));
  EXPECT_THAT(error(values(), [](Dataset& d) { d.targets = TargetKind::kClasses; }),
              HasSubstr("labels: expected s32 [N]"));
  EXPECT_THAT(error_of([] { values().require_classes("confusion"); }),
              HasSubstr("confusion: expected one class an example, but houses has 2 values"));
}

TEST(Dataset, PartsHaveTheSameTargets) {
  DataSource source;
  source.train = source.test = values();
  source.validate("file");
  source.test.class_names[0] = "rent";
  EXPECT_THAT(error_of([&] { source.validate("file"); }), HasSubstr("class names of training and test data differ"));
  source.test = flags();
  EXPECT_THAT(error_of([&] { source.validate("file"); }),
              HasSubstr("training targets are values but test targets are flags"));
}

TEST(Dataset, CountsClassesAndFlagsButNoValues) {
  EXPECT_THAT(class_counts(flags(), 2), ElementsAre(1, 2));
  EXPECT_THAT(error_of([] { class_counts(values(), 2); }), HasSubstr("expected classes or flags, got values"));
  EXPECT_EQ(values().class_name(1), "tax");
  EXPECT_EQ(Dataset{}.class_name(7), "7");
}

TEST(Dataset, BatchesCarryTargetsAsTheyAre) {
  Loader loader(values(), {.batch = 2});
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  EXPECT_EQ(batch.size(), 2);
  EXPECT_EQ(batch.labels.shape(), Shape({2, 2}));
  EXPECT_THAT(std::as_const(batch.labels).data<float>(), ElementsAre(0.5F, 1, 1.5F, 2));
  ASSERT_TRUE(loader.next(batch));
  EXPECT_THAT(std::as_const(batch.labels).data<float>(), ElementsAre(2.5F, 3));
}

TEST(ColumnNormalization, IsTheMeanAndDeviationOfEachColumn) {
  const Dataset dataset{.name = "rows",
                        .examples = Tensor::from<float>({1, 10, 0.1F, 3, 10, 0.1F, 5, 10, 0.1F, 7, 50, 0.1F}, {4, 3}),
                        .labels = Tensor::from<std::int32_t>({0, 1, 0, 1}, {4}),
                        .classes = 2};
  const Normalization normalization = column_normalization(dataset);
  // Mean 4 and (9 + 1 + 1 + 9) / 4 = 5; mean 20 and (300 + 900) / 4 = 300; one value: its deviation is taken as 1.
  EXPECT_THAT(normalization.means, ElementsAre(4.0F, 20.0F, 0.1F));
  EXPECT_THAT(normalization.stds, ElementsAre(std::sqrt(5.0F), std::sqrt(300.0F), 1.0F));
  Loader loader(dataset, {.batch = 4, .normalization = normalization});
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  const auto x = std::as_const(batch.examples).data<float>();
  EXPECT_EQ(x[0], (1.0F - 4.0F) / std::sqrt(5.0F));
  EXPECT_EQ(x[10], (50.0F - 20.0F) / std::sqrt(300.0F));
  EXPECT_EQ(x[11], 0.0F);
}

TEST(ColumnNormalization, OfImagesIsByChannel) {
  const Dataset dataset{.name = "images",
                        .examples = Tensor::from<std::uint8_t>({0, 51, 255, 51, 0, 51, 255, 51}, {2, 1, 2, 2}),
                        .labels = Tensor::from<std::int32_t>({0, 1}, {2}),
                        .classes = 2};
  const Normalization normalization = column_normalization(dataset);
  EXPECT_THAT(normalization.means, ElementsAre(0.5F, 0.2F));
  EXPECT_THAT(normalization.stds, ElementsAre(0.5F, 1.0F));
  Loader loader(dataset, {.batch = 2, .normalization = normalization});
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  EXPECT_THAT(std::as_const(batch.examples).data<float>(), ElementsAre(-1, 0, 1, 0, -1, 0, 1, 0));
  EXPECT_THAT(error_of([&] { Loader(dataset, {.normalization = {.means = {1.0F}, .stds = {1.0F}}}); }),
              HasSubstr("expected a mean and a std for each of 2 columns, got 1 and 1"));
}

}  // namespace
}  // namespace detent::data::dataset_test
