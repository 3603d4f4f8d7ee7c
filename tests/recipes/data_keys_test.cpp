#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/recipes/recipe.h"
#include "tests/error_of.h"

namespace detent::recipes::data_keys_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

train::DataSettings data_of(const std::string& lines) {
  return parse_recipe("[data]\n" + lines + "\n[model]\nlayers = [\"linear 2\"]\n", "my.toml").data;
}
std::string error(const std::string& lines) {
  return error_of([&] { data_of(lines); });
}

TEST(DataKeys, SayHowDataAreRead) {
  EXPECT_EQ(data_of("").read, data::ReadOptions());
  EXPECT_FALSE(data_of("").normalize_columns);
  const train::DataSettings data = data_of(
      "label = [\"sun\", -1]\ntask = \"flags\"\nslices = [\"age\"]\nignore = [\"id\"]\none_hot = [\"colour\"]\nheader "
      "= true\n"
      "image_size = [28, 32]\nchannels = 3\ntest_share = 0.25\nsplit_seed = 9\nnormalize = \"columns\"");
  EXPECT_THAT(data.read.label, ElementsAre("sun", "-1"));
  EXPECT_EQ(data.read.task, data::TargetKind::kFlags);
  EXPECT_THAT(data.read.slices, ElementsAre("age"));
  EXPECT_THAT(data.read.ignore, ElementsAre("id"));
  EXPECT_THAT(data.read.one_hot, ElementsAre("colour"));
  EXPECT_EQ(data.read.header, true);
  EXPECT_EQ(data.read.height, 28);
  EXPECT_EQ(data.read.width, 32);
  EXPECT_EQ(data.read.channels, 3);
  EXPECT_EQ(data.read.test_share, 0.25);
  EXPECT_EQ(data.read.split_seed, 9);
  EXPECT_TRUE(data.normalize_columns);
  EXPECT_THAT(data_of("label = 4").read.label, ElementsAre("4"));
  EXPECT_THAT(data_of("label = \"species\"").read.label, ElementsAre("species"));
  EXPECT_EQ(data_of("image_size = 64").read.height, 64);
  EXPECT_EQ(data_of("image_size = 64").read.width, 64);
}

TEST(DataKeys, AreRefusedWithTheLine) {
  EXPECT_THAT(error("\nlabel = 1.5"), HasSubstr("my.toml:3: [data] label: expected a column's name or number"));
  EXPECT_THAT(error("label = [\"a\", \"a\"]"), HasSubstr("label: 'a' stands twice"));
  EXPECT_THAT(error("task = \"regression\""), HasSubstr("task: expected \"classes\", \"values\" or \"flags\""));
  EXPECT_THAT(error("image_size = [0, 3]"), HasSubstr("image_size: expected [height, width], each from 1 to 8192"));
  EXPECT_THAT(error("image_size = [28]"), HasSubstr("image_size: expected [height, width]"));
  EXPECT_THAT(error("image_size = 10000"), HasSubstr("image_size: expected [height, width]"));
  EXPECT_THAT(error("channels = 4"), HasSubstr("channels: expected 1 (grey) or 3 (colour), got 4"));
  EXPECT_THAT(error("test_share = 0"), HasSubstr("test_share: expected a number > 0 and < 1"));
  EXPECT_THAT(error("split_seed = -1"), HasSubstr("split_seed: expected a whole number >= 0"));
  EXPECT_THAT(error("normalize = \"rows\""), HasSubstr("normalize: expected a table or \"columns\""));
  EXPECT_THAT(error("header = 1"), HasSubstr("header: expected true or false"));
}

}  // namespace
}  // namespace detent::recipes::data_keys_test
