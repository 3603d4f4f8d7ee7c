// How unequal the channels of a tensor are, and which of them are always 0.
#include "detent/quant/quantizers/channels.h"

#include <gmock/gmock.h>

#include "detent/quant/quantizers/measure.h"
#include "tests/quant/qat_fixture.h"

namespace detent::channels_test {
namespace {

using quant::ChannelReport;
using testing::ElementsAre;
using testing::IsEmpty;

ChannelReport report_of(const std::vector<float>& magnitudes) { return quant::channel_report(magnitudes); }

TEST(Channels, AreComparedWithTheMedianOfThoseThatLive) {
  const ChannelReport report = report_of({0.0F, 1.0F, 3.0F, 20.0F, 0.0F, 2.0F, 40.0F});
  EXPECT_EQ(report.count, 7);
  EXPECT_EQ(report.largest, 40.0F);
  EXPECT_EQ(report.median, 3.0F) << "of 1, 2, 3, 20, 40";
  EXPECT_THAT(report.outliers, ElementsAre(6)) << "30 is the limit";
  EXPECT_THAT(report.dead, ElementsAre(0, 4));
  EXPECT_EQ(report.ratio(), 40.0F / 3.0F);
  EXPECT_EQ(report_of({1.0F, 2.0F, 3.0F, 4.0F}).median, 3.0F) << "the upper of the two in the middle";
  EXPECT_THAT(report_of({1.0F, 10.0F, 1.0F}).outliers, IsEmpty()) << "ten times is not above it";
  EXPECT_THAT(report_of({1.0F, 10.1F, 1.0F}).outliers, ElementsAre(1));
}

TEST(Channels, OfZerosOrNoneHaveNoMedian) {
  for (const std::vector<float>& magnitudes : {std::vector<float>{}, std::vector<float>{0.0F, 0.0F}}) {
    const ChannelReport report = report_of(magnitudes);
    EXPECT_EQ(report.dead.size(), magnitudes.size());
    EXPECT_EQ(report.ratio(), 0.0F);
    EXPECT_THAT(report.outliers, IsEmpty());
  }
  EXPECT_THAT(report_of({1e-30F, 5.0F}).outliers, IsEmpty()) << "of two the larger is the median";
}

TEST(Channels, OfWeightsAreRows) {
  const Tensor weight = Tensor::from<float>({1, -2, 0, 0, -30, 1, 1, 1}, {4, 1, 2, 1});
  const ChannelReport report = quant::weight_channels(weight);
  EXPECT_EQ(report.count, 4);
  EXPECT_EQ(report.largest, 30.0F);
  EXPECT_EQ(report.median, 2.0F);
  EXPECT_THAT(report.outliers, ElementsAre(2));
  EXPECT_THAT(report.dead, ElementsAre(1));
}

// A folded batch norm is part of the weights: gamma 0 makes a channel's weights 0.
TEST(Channels, OfAPreparedLayerHaveItsBatchNorm) {
  nn::Graph net;
  auto x = net.conv2d(net.input({6, 6, 1}), {.out_channels = 3, .kernel = 3, .name = "conv"});
  net.output(net.relu(net.batch_norm(x, {.name = "norm"})));
  EXPECT_FALSE(quant::weight_channels(*net.node("conv").module)) << "no weights yet";
  net.initialize(1);
  dynamic_cast<nn::BatchNorm&>(*net.node("norm").module).weight().value.data<float>()[1] = 0.0F;
  const nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  EXPECT_THAT(quant::weight_channels(*qat.node("conv").module)->dead, ElementsAre(1));
  EXPECT_THAT(quant::weight_channels(*net.node("conv").module)->dead, IsEmpty());
  EXPECT_FALSE(quant::weight_channels(*net.node("norm").module));
}

// A layer whose channels are known: bias alone, and what the input adds.
TEST(Channels, AreMeasuredOverAllBatches) {
  nn::Graph net;
  auto x = net.linear(net.input({2}), {.out_features = 4, .name = "fc"});
  net.output(net.relu(x));
  net.initialize(1);
  auto& fc = dynamic_cast<nn::Linear&>(*net.node("fc").module);
  const std::vector<float> weights{1, 0, 0, 1, 0, 0, 0, 0};
  std::ranges::copy(weights, fc.weight().value.data<float>().begin());
  const std::vector<float> bias{0, 0, -5, 0};
  std::ranges::copy(bias, fc.bias().value.data<float>().begin());
  nn::Graph prepared = quant::prepare(net, quant::QConfigMapping());
  const Tensor first = Tensor::from<float>({0.0F, 1.0F, 0.5F, 0.25F}, {2, 2});
  const Tensor second = Tensor::from<float>({2.0F, 0.5F}, {1, 2});
  test::infer(prepared, first);
  test::infer(prepared, second);
  quant::freeze_observers(prepared);
  quant::set_measuring(prepared, true);
  test::infer(prepared, first);
  test::infer(prepared, second);
  quant::set_measuring(prepared, false);
  const quant::RangeReport report = quant::range_reports(prepared).back();
  EXPECT_EQ(report.name, "fc");
  EXPECT_TRUE(report.is_product);
  EXPECT_FALSE(report.shares_weight_scale);
  EXPECT_EQ(report.channels.count, 4);
  EXPECT_THAT(report.channels.dead, ElementsAre(2, 3)) << "below 0, and without weights";
  EXPECT_NEAR(report.channels.largest, 2.0F, 0.02F);
  EXPECT_THAT(report.weights.dead, ElementsAre(2, 3));
  const quant::RangeReport input = quant::range_reports(prepared).front();
  EXPECT_FALSE(input.is_product);
  EXPECT_EQ(input.channels.count, 2);
}

}  // namespace
}  // namespace detent::channels_test
