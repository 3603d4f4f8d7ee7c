#include <gtest/gtest.h>

#include "detent/recipes/recipe.h"
#include "tests/error_of.h"

/// The keys of [train] that say what is learned, how it is judged, and what a phase ends with.
namespace detent::recipes::train_settings_test {
namespace {

using namespace detent::train;

Recipe parsed(const std::string& text) {
  return parse_recipe("[model]\nlayers = [\"flatten\", \"linear 10\"]\n" + text, "r.toml");
}

TEST(TrainSettings, AreReadFromTheirKeys) {
  const Recipe recipe = parsed(R"([data]
augment = {crop = 4, flip = true, jitter = 0.3}
[train]
accumulate = 4
schedule = "plateau"
plateau_patience = 5
loss = "huber"
huber_delta = 2.5
class_weights = [1, 2.5]
keep = "best"
patience = 7
monitor = "accuracy"
[check]
min_r2 = -0.5
)");
  EXPECT_EQ(recipe.data.augment.crop, 4.0F);
  EXPECT_EQ(recipe.data.augment.jitter, 0.3F);
  EXPECT_TRUE(recipe.data.augment.flip);
  EXPECT_EQ(recipe.train.accumulate, 4);
  EXPECT_EQ(recipe.train.schedule, ScheduleKind::Plateau);
  EXPECT_EQ(recipe.train.plateau_patience, 5);
  EXPECT_EQ(recipe.train.loss, LossKind::Huber);
  EXPECT_EQ(recipe.train.huber_delta, 2.5);
  EXPECT_EQ(recipe.train.class_weights.weights, (std::vector<double>{1.0, 2.5}));
  EXPECT_FALSE(recipe.train.class_weights.is_balanced);
  EXPECT_EQ(recipe.train.keep, Keep::Best);
  EXPECT_EQ(recipe.train.patience, 7);
  EXPECT_EQ(recipe.train.monitor, Monitor::Accuracy);
  EXPECT_EQ(recipe.check.min_r2, -0.5);
  EXPECT_TRUE(parsed("[train]\nclass_weights = \"balanced\"\n").train.class_weights.is_balanced);
  EXPECT_TRUE(parsed("[data]\naugment = \"colour\"\n").data.augment.flip);
  EXPECT_EQ(parsed("[check.table]\nmin_r2 = 0.9\n").check_for("table").min_r2, 0.9);
}

TEST(TrainSettings, ByDefaultAreAsBefore) {
  const Recipe recipe = parsed("");
  EXPECT_EQ(recipe.train.accumulate, 1);
  EXPECT_EQ(recipe.train.loss, LossKind::Auto);
  EXPECT_FALSE(recipe.train.class_weights.is_on());
  EXPECT_EQ(recipe.train.keep, Keep::Last);
  EXPECT_EQ(recipe.train.patience, 0);
  EXPECT_FALSE(recipe.check.min_r2.has_value());
}

TEST(TrainSettings, SayWhatIsWrongAndHowToMendIt) {
  const auto error = [](const std::string& text) { return error_of([&] { parsed(text); }); };
  const std::string weights = "r.toml:4: [train] class_weights: expected \"balanced\" or numbers above 0, got ";
  const std::string mend = "; write class_weights = \"balanced\" or [1.0, 2.5]";
  EXPECT_EQ(error("[train]\nclass_weights = [1, 0]\n"), weights + "an array" + mend);
  EXPECT_EQ(error("[train]\nclass_weights = []\n"), weights + "an array" + mend);
  EXPECT_EQ(error("[train]\nclass_weights = [1, \"2\"]\n"), weights + "an array" + mend);
  EXPECT_EQ(error("[train]\nclass_weights = \"even\"\n"), weights + "\"even\"" + mend);
  EXPECT_EQ(error("[train]\nkeep = \"bets\"\n"),
            "r.toml:4: [train] keep: expected \"last\" or \"best\", got \"bets\"; did you mean 'best'?");
  EXPECT_EQ(error("[train]\naccumulate = 0\n"),
            "r.toml:4: [train] accumulate: expected a whole number >= 1 and <= 1048576, got 0; write accumulate = 1");
  EXPECT_EQ(error("[check]\nmin_r2 = 2\n"),
            "r.toml:4: [check] min_r2: expected a number <= 1, got 2; write min_r2 = 0.99");
  EXPECT_EQ(error("[data]\naugment = {flip = 1}\n"),
            "r.toml:4: [data.augment] flip: expected true or false, got 1; write flip = false");
}

}  // namespace
}  // namespace detent::recipes::train_settings_test
