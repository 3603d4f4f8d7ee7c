// Observers and FakeQuant as state machines: the expected state after each step.

#include <gtest/gtest.h>

#include "quant/fake_quant.h"

namespace detent {
namespace {

using quant::FakeQuant;
using quant::Observer;
using quant::ObserverKind;

TEST(Observer, MinMaxKeepsTheExtremes) {
  Observer observer({.kind = ObserverKind::MinMax});
  EXPECT_FALSE(observer.has_range());
  observer.observe(MinMax{-1.0F, 2.0F});
  EXPECT_EQ(observer.range(), (MinMax{-1.0F, 2.0F}));
  observer.observe(MinMax{-0.5F, 5.0F});
  EXPECT_EQ(observer.range(), (MinMax{-1.0F, 5.0F}));
  observer.observe(MinMax{});  // an empty batch says nothing
  EXPECT_EQ(observer.range(), (MinMax{-1.0F, 5.0F}));
  observer.freeze();
  observer.observe(MinMax{-9.0F, 9.0F});
  EXPECT_EQ(observer.range(), (MinMax{-1.0F, 5.0F}));
}

TEST(Observer, MovingAverageStartsWithTheFirstBatch) {
  Observer observer({.kind = ObserverKind::MovingAverage, .constant = 0.5F});
  observer.observe(MinMax{-4.0F, 8.0F});
  EXPECT_EQ(observer.range(), (MinMax{-4.0F, 8.0F}));
  observer.observe(MinMax{0.0F, 4.0F});
  EXPECT_EQ(observer.range(), (MinMax{-2.0F, 6.0F}));
  observer.observe(MinMax{0.0F, 0.0F});
  EXPECT_EQ(observer.range(), (MinMax{-1.0F, 3.0F}));
}

TEST(Observer, ChannelsAreApart) {
  Observer observer({.kind = ObserverKind::MinMax}, 2);
  const std::vector<MinMax> first{{-1.0F, 1.0F}, {}};
  observer.observe(first);
  EXPECT_FALSE(observer.has_range()) << "channel 1 has seen nothing";
  const std::vector<MinMax> second{{-0.5F, 0.5F}, {3.0F, 4.0F}};
  observer.observe(second);
  EXPECT_EQ(observer.range(0), (MinMax{-1.0F, 1.0F}));
  EXPECT_EQ(observer.range(1), (MinMax{3.0F, 4.0F}));
  EXPECT_THROW(observer.observe(MinMax{0.0F, 1.0F}), Error) << "one range for two channels";
}

TEST(Observer, PerChannelRangesOfWeights) {
  const Tensor weight = Tensor::from<float>({1.0F, -2.0F, 3.0F, 0.5F, 0.25F, 0.75F}, {2, 3});
  const std::vector<MinMax> ranges = quant::per_channel_min_max(weight);
  EXPECT_EQ(ranges[0], (MinMax{-2.0F, 3.0F}));
  EXPECT_EQ(ranges[1], (MinMax{0.25F, 0.75F}));
}

TEST(Observer, RefusesAConstantThatIsNone) {
  EXPECT_THROW(Observer({.kind = ObserverKind::MovingAverage, .constant = 0.0F}), Error);
  EXPECT_THROW(Observer({.kind = ObserverKind::MovingAverage, .constant = 1.5F}), Error);
}

TEST(FakeQuant, HasOneMapThatFollowsTheRangeUntilFrozen) {
  FakeQuant fake_quant({.observer = {.constant = 0.5F}}, FakeQuant::State::Observing);
  EXPECT_THROW(fake_quant.map(), Error);
  EXPECT_THROW(fake_quant.freeze(), Error);
  fake_quant.observe({0.0F, 255.0F});
  EXPECT_EQ(fake_quant.map(), (ScaleZero{1.0F, 0}));
  fake_quant.observe({-255.0F, 255.0F});
  EXPECT_EQ(fake_quant.map(), (ScaleZero{1.5F, 85}));
  fake_quant.freeze();
  EXPECT_TRUE(fake_quant.is_frozen());
  fake_quant.observe({-1.0F, 1.0F});
  EXPECT_EQ(fake_quant.map(), (ScaleZero{1.5F, 85}));
  EXPECT_EQ(fake_quant.qparams()->tensor(), fake_quant.map());
}

}  // namespace
}  // namespace detent
