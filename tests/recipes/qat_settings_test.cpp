// What [qat] says of schedules and of the loss.
#include <gtest/gtest.h>

#include "detent/recipes/recipe.h"
#include "tests/error_of.h"

namespace detent::recipes::qat_settings_test {
namespace {

const std::string kModel = "[model]\nlayers = [\"flatten\", \"linear 10\"]\n";

TEST(QatSettings, SayWhenThingsBegin) {
  using Unit = train::Moment::Unit;
  const auto qat = [](const std::string& keys) { return parse_recipe(kModel + "[qat]\n" + keys, "r.toml").qat; };
  EXPECT_EQ(qat("").start, 0);
  EXPECT_FALSE(qat("").calibrate_first);
  EXPECT_EQ(qat("").freeze_observers_at, train::Moment(0.8));
  EXPECT_EQ(qat("").freeze_batch_norm_at, train::Moment(0.5));
  EXPECT_EQ(qat("epochs = 3\nstart = 2\n").start, 2);
  EXPECT_TRUE(qat("calibrate_first = true\n").calibrate_first);
  EXPECT_EQ(qat("freeze_observers_at = 1\n").freeze_observers_at, train::Moment(1.0, Unit::Share));
  EXPECT_EQ(qat("epochs = 2\nfreeze_observers_at = \"2 epochs\"\n").freeze_observers_at,
            train::Moment(2.0, Unit::Epochs));
  EXPECT_EQ(qat("freeze_batch_norm_at = \"1 epoch\"\n").freeze_batch_norm_at, train::Moment(1.0, Unit::Epochs));
  EXPECT_EQ(qat("freeze_batch_norm_at = \"600 steps\"\n").freeze_batch_norm_at, train::Moment(600.0, Unit::Steps));
}

struct Bad {
  std::string text;
  std::string error;
};

TEST(QatSettings, AreRefusedInOneClearLine) {
  for (const Bad& row :
       {Bad{kModel + "[qat]\nepochs = 2\nstart = 2\n",
            "r.toml:5: [qat] start: 2 of 2 epochs in float leave none with quantizers; write start = 1"},
        Bad{kModel + "[train]\nloss = \"mse\"\n[qat]\ndistill = 0.5\n",
            "r.toml:6: [qat] distill: needs [train] loss = \"cross_entropy\""},
        Bad{kModel + "[qat]\ntemperature = 0\n",
            "r.toml:4: [qat] temperature: expected a number > 0, got 0; write temperature = 4"},
        Bad{kModel + "[qat]\nfreeze_observers_at = 1.5\n",
            "r.toml:4: [qat] freeze_observers_at: expected a number >= 0 and <= 1, got 1.5; write "
            "freeze_observers_at = 0.8"},
        Bad{kModel + "[qat]\nfreeze_observers_at = \"2 weeks\"\n",
            "r.toml:4: [qat] freeze_observers_at: expected a share of the steps, epochs or steps, got \"2 "
            "weeks\"; write freeze_observers_at = 0.8, \"2 epochs\" or \"600 steps\""},
        Bad{kModel + "[qat]\nfreeze_batch_norm_at = \"3 epochs\"\n",
            "r.toml:4: [qat] freeze_batch_norm_at: 3 epochs are more than epochs = 1"}}) {
    EXPECT_EQ(error_of([&] { parse_recipe(row.text, "r.toml"); }), row.error);
  }
}

}  // namespace
}  // namespace detent::recipes::qat_settings_test
