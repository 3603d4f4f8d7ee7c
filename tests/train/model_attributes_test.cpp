#include "detent/train/model_attributes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace detent::train::model_attributes_test {
namespace {

using ::testing::HasSubstr;

TrainedOn everything() {
  return {.dataset = "flowers",
          .normalization = {.mean = 0.5F, .std = 2.0F, .means = {0.1F, 1e-30F}, .stds = {3.0F, 0.7F}},
          .targets = data::TargetKind::kFlags,
          .class_names = {"caf\xC3\xA9", "\"quoted\""},
          .feature_names = {"width", "colour=red", "colour=blue"},
          .read = {.label = {"a", "-1"},
                   .task = data::TargetKind::kFlags,
                   .slices = {"age"},
                   .ignore = {"id"},
                   .one_hot = {"colour"},
                   .header = false,
                   .height = 28,
                   .width = 32,
                   .channels = 3,
                   .test_share = 0.3,
                   .split_seed = 7,
                   .class_names = {"caf\xC3\xA9", "\"quoted\""},
                   .known_features = {"width", "colour=red", "colour=blue"}}};
}

TEST(ModelAttributes, ComeBackAsTheyWere) {
  EXPECT_EQ(trained_on(to_attributes(everything())), everything());
  const TrainedOn plain{.dataset = "mnist", .normalization = {.mean = 0.1307F, .std = 0.3081F}};
  EXPECT_EQ(trained_on(to_attributes(plain)), plain);
}

TEST(ModelAttributes, WhatIsByDefaultIsNotSaid) {
  const Attributes attributes = to_attributes({.dataset = "mnist"});
  EXPECT_EQ(attributes,
            (Attributes{{"dataset", std::string("mnist")}, {"normalization_mean", 0.0}, {"normalization_std", 1.0}}));
}

TEST(ModelAttributes, ClassesHaveNamesOrNumbers) {
  EXPECT_EQ(class_name(everything(), 0), "caf\xC3\xA9");
  EXPECT_EQ(class_name(everything(), 2), "2");
  EXPECT_EQ(class_name(TrainedOn(), 7), "7");
}

TEST(ModelAttributes, DamageIsRefused) {
  const auto error = [](const std::string& name, const TensorFile::Attribute& value) {
    Attributes attributes = to_attributes(everything());
    attributes[name] = value;
    return error_of([&] { trained_on(attributes); });
  };
  EXPECT_THAT(error("class_names", std::string("[1, 2]")), HasSubstr("attribute 'class_names' is damaged"));
  EXPECT_THAT(error("class_names", std::string("[")), HasSubstr("attribute 'class_names'"));
  EXPECT_THAT(error("normalization_columns", std::string("{\"means\": [1.0]}")),
              HasSubstr("it has 1 means and 0 stds"));
  EXPECT_THAT(error("data_options", std::string("{\"height\": -4, \"width\": 3}")),
              HasSubstr("'data_options' is damaged"));
  EXPECT_THAT(error("data_options", std::string("{\"label\": 3}")), HasSubstr("'data_options' is damaged"));
  EXPECT_THAT(error("targets", std::string("dreams")), HasSubstr("its targets are \"dreams\""));
  EXPECT_THAT(error_of([] { trained_on({}); }), HasSubstr("has no attribute 'normalization_mean'"));
}

}  // namespace
}  // namespace detent::train::model_attributes_test
