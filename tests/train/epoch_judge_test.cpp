#include "detent/train/epochs/epoch_judge.h"

#include <gtest/gtest.h>

#include <cmath>

namespace detent::train::epoch_judge_test {
namespace {

evaluation::EpochResult epoch(std::int64_t number, double loss, std::optional<double> validation_loss = {},
                              std::optional<double> validation_accuracy = {}) {
  return {.phase = "float",
          .epoch = number,
          .loss = loss,
          .accuracy = 0.5,
          .validation_loss = validation_loss,
          .validation_accuracy = validation_accuracy};
}

struct Taken {
  double validation_loss;
  bool is_best, stops;  // after it
};

TEST(EpochJudge, KnowsTheBestAndEndsAfterPatience) {
  EpochJudge judge({.patience = 2});
  std::int64_t number = 0;
  for (const Taken& taken : {Taken{1.0, true, false}, Taken{0.8, true, false}, Taken{0.8, false, false},
                             Taken{0.7, true, false}, Taken{0.9, false, false}, Taken{0.7, false, true}}) {
    judge.take(epoch(++number, 9.0, taken.validation_loss, 0.1));
    EXPECT_EQ(judge.is_best(), taken.is_best) << "epoch " << number;
    EXPECT_EQ(judge.should_stop(), taken.stops) << "epoch " << number;
  }
  EXPECT_EQ(judge.state().best_epoch, 4) << "of equal ones the first";
  EXPECT_EQ(judge.state().epochs.size(), 6U);
}

TEST(EpochJudge, WithoutPatienceNeverEnds) {
  EpochJudge judge(TrainSettings{});
  for (std::int64_t number = 1; number <= 50; ++number) {
    judge.take(epoch(number, static_cast<double>(number)));
    EXPECT_FALSE(judge.should_stop());
  }
  EXPECT_EQ(judge.state().best_epoch, 1);
}

TEST(EpochJudge, GoesByAccuracyWhereThatIsAskedFor) {
  EpochJudge judge({.monitor = Monitor::Accuracy});
  judge.take(epoch(1, 1.0, 0.1, 0.9));
  judge.take(epoch(2, 1.0, 0.2, 0.95));
  EXPECT_TRUE(judge.is_best());
  judge.take(epoch(3, 1.0, 0.05, 0.94));
  EXPECT_EQ(judge.state().best_epoch, 2);
  EXPECT_EQ(judge.monitored(judge.state().epochs[1]), 0.95);
}

TEST(EpochJudge, WhatIsNotFiniteIsNeverBest) {
  EpochJudge judge({.patience = 1});
  judge.take(epoch(1, std::nan("")));
  EXPECT_FALSE(judge.is_best());
  EXPECT_FALSE(judge.should_stop());
  judge.take(epoch(2, 3.0));
  EXPECT_TRUE(judge.is_best());
}

TEST(EpochJudge, LowersTheLearningRateOnAPlateauOnly) {
  const TrainSettings plateau{.schedule = ScheduleKind::Plateau, .step_factor = 0.5, .plateau_patience = 1};
  EpochJudge judge(plateau);
  EpochJudge constant(TrainSettings{.step_factor = 0.5, .plateau_patience = 1});
  const std::vector<double> losses{1.0, 1.0, 1.0, 0.5, 0.5, 0.5}, multipliers{1.0, 1.0, 0.5, 0.5, 0.5, 0.25};
  for (std::size_t i = 0; i < losses.size(); ++i) {
    judge.take(epoch(static_cast<std::int64_t>(i) + 1, losses[i]));  // without a validation part, the training loss
    constant.take(epoch(static_cast<std::int64_t>(i) + 1, losses[i]));
    EXPECT_EQ(judge.multiplier(), multipliers[i]) << "epoch " << i + 1;
    EXPECT_EQ(constant.multiplier(), 1.0);
  }
}

// Cut off after any epoch, and gone on from the text of its state.
TEST(EpochJudge, GoesOnAsIfItHadNeverStopped) {
  const TrainSettings train{.schedule = ScheduleKind::Plateau, .plateau_patience = 0, .patience = 3};
  const std::vector<double> losses{1.0, 0.9, 0.95, 0.96, 0.89, 0.9, 0.9, 0.9};
  EpochJudge whole(train);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    whole.take(epoch(static_cast<std::int64_t>(i) + 1, losses[i]));
    EpochJudge again(train);
    for (std::size_t j = 0; j <= i; ++j) {
      again = EpochJudge(train, progress_state_of(to_json_text(again.state())));
      again.take(epoch(static_cast<std::int64_t>(j) + 1, losses[j]));
    }
    EXPECT_TRUE(again.state() == whole.state()) << "epoch " << i + 1;
    EXPECT_EQ(again.should_stop(), whole.should_stop());
  }
  EXPECT_TRUE(whole.should_stop());
}

TEST(EpochJudge, AnotherThingIsJudgedAnew) {
  EpochJudge judge({.patience = 1});
  judge.take(epoch(1, 0.1));
  judge.forget_best();
  judge.take(epoch(2, 0.5));
  EXPECT_TRUE(judge.is_best());
  EXPECT_FALSE(judge.should_stop());
}

}  // namespace
}  // namespace detent::train::epoch_judge_test
