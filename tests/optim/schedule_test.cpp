#include "detent/optim/schedule.h"

#include <gmock/gmock.h>

#include "detent/optim/parameter.h"
#include "tests/optim/golden.h"

namespace detent::optim::schedule_test {
namespace {

constexpr std::int64_t kTotal = 50;
constexpr double kBase = 0.1;

struct Row {
  std::string name;
  Schedule schedule;
  friend void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }
};

class Golden : public testing::TestWithParam<Row> {};

TEST_P(Golden, IsPyTorchs) {
  const auto golden = read_golden("schedules").at(GetParam().name);
  ASSERT_EQ(golden.size(), static_cast<std::size_t>(kTotal));
  for (std::int64_t step = 0; step < kTotal; ++step) {
    const double expected = golden[static_cast<std::size_t>(step)][1];
    EXPECT_NEAR(learning_rate(GetParam().schedule, step, kTotal), expected, 1e-12)
        << GetParam().name << ", step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Golden,
    testing::Values(Row{"constant", {kBase}}, Row{"step", {kBase, StepRate{.period = 7, .gamma = 0.3}}},
                    Row{"cosine", {kBase, CosineRate{}}}, Row{"cosine_floor", {kBase, CosineRate{.floor = 0.01}}},
                    Row{"one_cycle", {kBase, OneCycleRate{}}},
                    Row{"one_cycle_short", {kBase, OneCycleRate{.rise = 0.1, .div = 10.0, .final_div = 100.0}}},
                    Row{"warmup", {kBase, ConstantRate{}, {.steps = 10}}},
                    Row{"warmup_cosine", {kBase, CosineRate{}, {.steps = 10, .start = 0.1}}},
                    Row{"warmup_step", {kBase, StepRate{.period = 7, .gamma = 0.3}, {.steps = 10, .start = 0.1}}}),
    [](const auto& parameter) { return parameter.param.name; });

TEST(Schedule, EndsWhereItSaysAndStaysThere) {
  const Schedule cosine{1.0, CosineRate{.floor = 0.25}};
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 10, 10), 0.25);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 1000, 10), 0.25);
  const Schedule cycle{1.0, OneCycleRate{.rise = 0.3, .div = 25.0, .final_div = 100.0}};
  EXPECT_NEAR(learning_rate(cycle, 0, 10), 1.0 / 25.0, 1e-15);
  EXPECT_DOUBLE_EQ(learning_rate(cycle, 2, 10), 1.0);
  EXPECT_NEAR(learning_rate(cycle, 9, 10), 1.0 / 2500.0, 1e-15);
  EXPECT_NEAR(learning_rate(cycle, 99, 10), 1.0 / 2500.0, 1e-15);
}

TEST(Schedule, WorksForTrainingsOfOneStepAndWarmupsLongerThanTheTraining) {
  for (const auto& shape : {Schedule{1.0, CosineRate{}}, Schedule{1.0, OneCycleRate{}}, Schedule{1.0, StepRate{}}}) {
    EXPECT_GT(learning_rate(shape, 0, 1), 0.0);
    EXPECT_LE(learning_rate(shape, 0, 1), 1.0);
  }
  EXPECT_DOUBLE_EQ(learning_rate({1.0, CosineRate{}, {.steps = 100, .start = 0.0}}, 5, 10), 0.05);
  EXPECT_LE(learning_rate({1.0, CosineRate{}, {.steps = 100, .start = 0.0}}, 100, 10), 1.0);
}

TEST(Schedule, RefusesWhatMakesNoSense) {
  EXPECT_THROW(learning_rate({}, -1, 10), Error);
  EXPECT_THROW(learning_rate({}, 0, 0), Error);
  EXPECT_THROW(learning_rate({1.0, StepRate{.period = 0}}, 0, 10), Error);
  EXPECT_THROW(learning_rate({1.0, OneCycleRate{.rise = 1.0}}, 0, 10), Error);
  EXPECT_THROW(learning_rate({1.0, OneCycleRate{.div = 0.0}}, 0, 10), Error);
  EXPECT_THROW(learning_rate({1.0, ConstantRate{}, {.steps = -1}}, 0, 10), Error);
}

}  // namespace
}  // namespace detent::optim::schedule_test
