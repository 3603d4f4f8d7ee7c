// Range rules in FakeQuant as state machines: the expected state after each step.

#include <gtest/gtest.h>

#include <cmath>

#include "detent/quant/quantizers/fake_quant.h"

namespace detent::fake_quant_test {
namespace {

using quant::FakeQuant;
using quant::RangeSpec;

FakeQuant observing(const RangeSpec& range) { return FakeQuant({.range = range}, FakeQuant::State::Observing); }

TEST(RangeRule, MinMaxKeepsTheExtremes) {
  FakeQuant observer = observing({"min-max", {}});
  EXPECT_FALSE(observer.has_range());
  observer.observe(MinMax{-1.0F, 2.0F}, 32);
  EXPECT_EQ(observer.range(), (MinMax{-1.0F, 2.0F}));
  observer.observe(MinMax{-0.5F, 5.0F}, 32);
  EXPECT_EQ(observer.range(), (MinMax{-1.0F, 5.0F}));
  observer.observe(MinMax{}, 32);  // an empty batch says nothing
  EXPECT_EQ(observer.range(), (MinMax{-1.0F, 5.0F}));
  observer.freeze();
  observer.observe(MinMax{-9.0F, 9.0F}, 32);
  EXPECT_EQ(observer.range(), (MinMax{-1.0F, 5.0F}));
}

TEST(RangeRule, MovingAverageStartsWithTheFirstBatch) {
  FakeQuant observer = observing({"moving-average", {0.5}});
  observer.observe(MinMax{-4.0F, 8.0F}, 32);
  EXPECT_EQ(observer.range(), (MinMax{-4.0F, 8.0F}));
  observer.observe(MinMax{0.0F, 4.0F}, 32);
  EXPECT_EQ(observer.range(), (MinMax{-2.0F, 6.0F}));
  observer.observe(MinMax{-1.0F, 0.0F}, 1000);
  EXPECT_EQ(observer.range(), (MinMax{-1.5F, 3.0F}));
}

// One step of the moving average for each window of 32 examples, by the extremes of all of them.
TEST(RangeRule, MovingAverageJoinsSmallBatchesToAWindow) {
  struct Step {
    MinMax batch;
    std::int64_t examples;
    MinMax range;
  };
  const std::vector<Step> steps{
      {{-1.0F, 2.0F}, 10, {-1.0F, 2.0F}},   // the first window sets the range at once
      {{-0.5F, 4.0F}, 21, {-1.0F, 4.0F}},   // and goes on joining, 31 examples
      {{-3.0F, 1.0F}, 1, {-3.0F, 4.0F}},    // its last batch
      {{-9.0F, 0.5F}, 31, {-3.0F, 4.0F}},   // the second window is not full
      {{-1.0F, 20.0F}, 1, {-6.0F, 12.0F}},  // it moves by [-9, 20]
      {{}, 100, {-6.0F, 12.0F}},            // nothing finite
      {{-2.0F, 2.0F}, 20, {-6.0F, 12.0F}},
      {{-4.0F, 1.0F}, 64, {-5.0F, 7.0F}},  // more than a window: it ends with the batch
      {{-5.0F, 3.0F}, 32, {-5.0F, 5.0F}},  // and the next begins anew
  };
  FakeQuant observer = observing({"moving-average", {0.5}});
  for (std::size_t i = 0; i < steps.size(); ++i) {
    observer.observe(steps[i].batch, steps[i].examples);
    EXPECT_EQ(observer.range().min, steps[i].range.min) << "step " << i;
    EXPECT_EQ(observer.range().max, steps[i].range.max) << "step " << i;
  }
  EXPECT_THROW(observer.observe(MinMax{0.0F, 1.0F}, 0), Error) << "a batch has examples";
}

TEST(RangeRule, ZerosAloneDoNotMoveTheAverage) {
  FakeQuant observer = observing({"moving-average", {0.5}});
  for (int batch = 0; batch < 100; ++batch) {
    observer.observe(MinMax{0.0F, 0.0F}, 1);
  }
  EXPECT_EQ(observer.range(), (MinMax{0.0F, 0.0F}));
  observer.observe(MinMax{0.0F, 1.0F}, 1);
  EXPECT_EQ(observer.range(), (MinMax{0.0F, 1.0F})) << "set anew by the first batch that is not of zeros";
  for (int batch = 0; batch < 1000; ++batch) {
    observer.observe(MinMax{0.0F, 0.0F}, 1);
  }
  EXPECT_EQ(observer.range(), (MinMax{0.0F, 1.0F}));
  observer.observe(MinMax{0.0F, 3.0F}, 32);
  EXPECT_EQ(observer.range(), (MinMax{0.0F, 2.0F}));
}

TEST(RangeRule, RefusesAConstantThatIsNone) {
  EXPECT_THROW(observing({"moving-average", {0.0}}), Error);
  EXPECT_THROW(observing({"moving-average", {1.5}}), Error);
}

TEST(FakeQuant, HasOneMapThatFollowsTheRangeUntilFrozen) {
  FakeQuant fake_quant({.range = {"moving-average", {0.5}}}, FakeQuant::State::Observing);
  EXPECT_THROW(fake_quant.map(), Error);
  EXPECT_THROW(fake_quant.freeze(), Error);
  fake_quant.observe({0.0F, 255.0F}, 32);
  EXPECT_EQ(fake_quant.map(), (ScaleZero{1.0F, 0}));
  fake_quant.observe({-255.0F, 255.0F}, 32);
  EXPECT_EQ(fake_quant.map(), (ScaleZero{1.5F, 85}));
  fake_quant.freeze();
  EXPECT_TRUE(fake_quant.is_frozen());
  fake_quant.observe({-1.0F, 1.0F}, 32);
  EXPECT_EQ(fake_quant.map(), (ScaleZero{1.5F, 85}));
  EXPECT_EQ(fake_quant.qparams()->tensor(), fake_quant.map());
}

TEST(FakeQuant, SaysThatItSawNothingFinite) {
  const auto message_of = [](FakeQuant& fake_quant) {
    try {
      fake_quant.freeze();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  FakeQuant fake_quant({}, FakeQuant::State::Observing);
  EXPECT_EQ(message_of(fake_quant), "freeze: no range was observed yet; train or calibrate the model first");
  fake_quant.observe(MinMax{}, 64);
  EXPECT_EQ(message_of(fake_quant),
            "freeze: it saw no finite value, only NaN and infinities; look at the data, the weights and the learning "
            "rate");
  fake_quant.observe({0.0F, 1.0F}, 64);
  EXPECT_EQ(message_of(fake_quant), "no error");
}

// The window in progress is state like any other; a frozen quantizer has none, and files from before windows have none.
TEST(FakeQuant, SavesItsWindowWhileItObserves) {
  const auto names_of = [](FakeQuant& fake_quant) {
    std::string names;
    for (const nn::Slot& slot : fake_quant.slots()) {
      names += slot.name + (slot.is_optional ? "? " : " ");
    }
    return names;
  };
  const std::string always = "output_min output_max output_scale output_zero_point ";
  FakeQuant observing({}, FakeQuant::State::Observing);
  EXPECT_EQ(names_of(observing), always + "output_window_min? output_window_max? output_window_examples? ");
  FakeQuant min_max({.range = {"min-max", {}}}, FakeQuant::State::Calibrating);
  EXPECT_EQ(names_of(min_max), always);
  observing.observe({0.0F, 1.0F}, 5);
  observing.freeze();
  EXPECT_EQ(names_of(observing), always);

  FakeQuant damaged({}, FakeQuant::State::Observing);
  damaged.slots()[6].tensor->data<std::int32_t>()[0] = 32;
  EXPECT_THROW(damaged.check_loaded(), Error) << "a full window is none";
  damaged.slots()[6].tensor->data<std::int32_t>()[0] = 31;
  damaged.check_loaded();
  damaged.slots()[0].tensor->data<float>()[0] = std::nanf("");
  EXPECT_THROW(damaged.check_loaded(), Error) << "NaN is no range";
}

}  // namespace
}  // namespace detent::fake_quant_test
