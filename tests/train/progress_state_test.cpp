#include "detent/train/epochs/progress_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/core/error.h"
#include "tests/error_of.h"

namespace detent::train::progress_state_test {
namespace {

using testing::HasSubstr;

ProgressState example() {
  return {.epochs = {{.phase = "float",
                      .epoch = 1,
                      .loss = 0.1,
                      .accuracy = 1.0 / 3.0,
                      .validation_loss = 1e-300,
                      .validation_accuracy = -2.5,
                      .learning_rate = 0.001},
                     {.phase = "float", .epoch = 2, .loss = 0.3}},
          .best_epoch = 1,
          .best = 1e-300,
          .plateau = {.multiplier = 0.1, .best = 0.7, .waited = 2},
          .loss_sum = 12.000000000000002,
          .score = {.targets = data::TargetKind::kValues,
                    .examples = 7,
                    .columns = {{.mean = 0.1, .deviation = 2.0, .absolute_error = 0.3, .squared_error = 4e-17}}}};
}

TEST(ProgressState, ComesBackFromItsTextExactly) {
  for (const ProgressState& state : {ProgressState(), example()}) {
    const std::string text = to_json_text(state);
    EXPECT_EQ(text.find('\n'), std::string::npos);
    EXPECT_TRUE(progress_state_of(text) == state) << text;
    EXPECT_EQ(to_json_text(progress_state_of(text)), text);
  }
}

TEST(ProgressState, SecondsAreNotOfIt) {
  ProgressState slow = example();
  slow.epochs[0].seconds = 12.0;
  EXPECT_EQ(to_json_text(slow), to_json_text(example())) << "two runs of the same bits differ in them";
}

TEST(ProgressState, RefusesWhatIsNone) {
  const auto error = [](const std::string& text) { return error_of([&] { progress_state_of(text); }); };
  EXPECT_THAT(error("{"), HasSubstr("progress of training: the description is not JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("progress of training: "));
  EXPECT_THAT(error("{}"), HasSubstr("best_epoch"));
  std::string text = to_json_text(example());
  text.replace(text.find("\"values\""), 8, "\"shapes\"");
  EXPECT_THAT(error(text), HasSubstr("unknown targets 'shapes'"));
  ProgressState ahead = example();
  ahead.best_epoch = 3;
  EXPECT_THAT(error(to_json_text(ahead)), HasSubstr("a count is out of range"));
}

}  // namespace
}  // namespace detent::train::progress_state_test
