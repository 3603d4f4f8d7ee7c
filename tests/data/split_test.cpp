#include "detent/data/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/error_of.h"

namespace detent::data::split_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// `counts` examples of each class, sorted by class; an example is its own number.
Dataset sorted(const std::vector<std::int64_t>& counts) {
  std::vector<std::int32_t> labels;
  for (std::size_t c = 0; c < counts.size(); ++c) {
    labels.insert(labels.end(), static_cast<std::size_t>(counts[c]), static_cast<std::int32_t>(c));
  }
  std::vector<float> examples(labels.size());
  std::iota(examples.begin(), examples.end(), 0.0F);
  Dataset dataset{.name = "sorted",
                  .examples = Tensor::from(examples, {std::ssize(examples), 1}),
                  .labels = Tensor::from(labels, {std::ssize(labels)}),
                  .classes = std::ssize(counts)};
  return dataset;
}

std::vector<std::int64_t> held_out_counts(const Dataset& dataset, double share, std::uint64_t seed = 1) {
  return class_counts(dataset.subset(stratified_split(dataset, share, seed).held_out), dataset.classes);
}

TEST(Split, EveryClassGivesItsShare) {
  EXPECT_THAT(held_out_counts(sorted({50, 30, 20}), 0.2), ElementsAre(10, 6, 4));
  EXPECT_THAT(held_out_counts(sorted({10, 10, 10}), 0.3), ElementsAre(3, 3, 3)) << "0.3 of 10 is 3, in binary too";
}

TEST(Split, LargestRemaindersFillUpTheShareOfAll) {
  // 0.25 of 5, 6, 7 and 4 is 1.25, 1.5, 1.75 and 1: together 5 of 22, so one more, of the class with the most left.
  EXPECT_THAT(held_out_counts(sorted({5, 6, 7, 4}), 0.25), ElementsAre(1, 1, 2, 1));
  // Of equal remainders the first ones give.
  EXPECT_THAT(held_out_counts(sorted({2, 2, 2, 2}), 0.25), ElementsAre(1, 1, 0, 0));
}

TEST(Split, NoClassGivesItsLastExample) {
  EXPECT_THAT(held_out_counts(sorted({1, 1, 20}), 0.9), ElementsAre(0, 0, 19));
  EXPECT_TRUE(stratified_split(sorted({1, 1, 1}), 0.5, 1).held_out.empty());
}

TEST(Split, IsACutOfAllByTheSeedAlone) {
  const Dataset dataset = sorted({40, 40});
  const Split split = stratified_split(dataset, 0.25, 7);
  EXPECT_TRUE(std::ranges::is_sorted(split.kept));
  EXPECT_TRUE(std::ranges::is_sorted(split.held_out));
  std::vector<std::int64_t> all = split.kept, expected(80);
  all.insert(all.end(), split.held_out.begin(), split.held_out.end());
  std::ranges::sort(all);
  std::iota(expected.begin(), expected.end(), std::int64_t{0});
  EXPECT_EQ(all, expected);
  EXPECT_EQ(stratified_split(dataset, 0.25, 7).held_out, split.held_out);
  EXPECT_NE(stratified_split(dataset, 0.25, 8).held_out, split.held_out);
  EXPECT_NE(split.held_out.front(), 30) << "the last rows of a sorted file are no sample of it";
}

TEST(Split, FlagsAreDrawnByTheirCombinationsAndValuesFromAll) {
  Dataset flags = sorted({20, 20});
  flags.targets = TargetKind::kFlags;
  std::vector<float> labels;
  for (int i = 0; i < 40; ++i) {
    labels.insert(labels.end(), {i < 20 ? 1.0F : 0.0F, i < 30 ? 1.0F : 0.0F});  // 20 times 11, 10 times 01 and 00
  }
  flags.labels = Tensor::from(labels, {40, 2});
  EXPECT_THAT(class_counts(flags.subset(stratified_split(flags, 0.5, 1).held_out), 2), ElementsAre(10, 15));
  Dataset values = flags;
  values.targets = TargetKind::kValues;
  EXPECT_EQ(stratified_split(values, 0.3, 1).held_out.size(), 12U);
}

TEST(Split, RefusesAShareThatIsNone) {
  EXPECT_THAT(error_of([] {
                stratified_split(sorted({4, 4}), 1.0, 1);
              }),
              HasSubstr("expected a share in [0, 1), got 1"));
}

TEST(Split, ShufflesAllThatBelongsToAnExample) {
  Dataset dataset = sorted({5, 5});
  for (int i = 0; i < 10; ++i) {
    dataset.sources.push_back(std::to_string(i));
  }
  dataset.columns.push_back({.name = "n", .numbers = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}});
  const Dataset mixed = shuffled(dataset, 3);
  EXPECT_NE(mixed.sources, dataset.sources);
  for (std::size_t i = 0; i < 10; ++i) {
    const float number = mixed.examples.data<float>()[i];
    EXPECT_EQ(mixed.sources[i], std::to_string(static_cast<int>(number)));
    EXPECT_EQ(mixed.columns[0].numbers[i], static_cast<double>(number));
    EXPECT_EQ(mixed.labels.data<std::int32_t>()[i], number < 5.0F ? 0 : 1);
  }
}

}  // namespace
}  // namespace detent::data::split_test
