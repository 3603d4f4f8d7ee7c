#include "detent/evaluation/sensitivity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/evaluation/allocate.h"
#include "detent/report/sensitivity_table.h"
#include "tests/quant/qat_fixture.h"

namespace detent::sensitivity_test {
namespace {

using namespace evaluation;
using testing::ElementsAre;
using testing::HasSubstr;

/// conv1 with batch norm and ReLU, conv2 at two nodes, fc.
nn::Graph shared_net() {
  nn::Graph net;
  auto x = net.input({6, 6, 2});
  x = net.conv2d(x, {.out_channels = 4, .kernel = 3, .padding = 1, .bias = false, .name = "conv1"});
  x = net.relu(net.batch_norm(x));
  x = net.conv2d(x, {.out_channels = 4, .kernel = 3, .padding = 1, .name = "conv2"});
  const std::shared_ptr<nn::Module> conv2 = net.node("conv2").module;
  x = net.add(conv2, {x}, "again");
  net.output(net.linear(net.flatten(x), {.out_features = 3, .bias = false, .name = "fc"}));
  net.initialize(1);
  return net;
}

data::Dataset images_of(std::int64_t count) {
  return {.name = "rows",
          .examples = test::random_images({6, 6, 2}, count, 1),
          .labels = test::random_labels(count, 3, 2),
          .classes = 3};
}

TEST(Sensitivity, MeasuresEachLayerThatHasWeights) {
  Reporter silent;
  const Trial trial(shared_net(), images_of(90), {}, {.calibration = 30, .images = 60});
  const Sensitivity measured = measure_sensitivity(trial, {}, silent);
  ASSERT_EQ(measured.layers.size(), 3U);
  EXPECT_THAT(measured.layers[0].names, ElementsAre("conv1"));
  EXPECT_THAT(measured.layers[1].names, ElementsAre("conv2", "again"));
  EXPECT_EQ(measured.layers[2].kind, "linear");
  // conv1 has the bias of its batch norm, fc none.
  const LayerSize& size = measured.layers[0].size;
  EXPECT_EQ(size.weights, 4 * 3 * 3 * 2);
  EXPECT_EQ(size.biases, 4);
  EXPECT_EQ(size.scales, 4);
  EXPECT_EQ(size.bytes(8), 72 + 32);
  EXPECT_EQ(size.bytes(3), 27 + 32);
  EXPECT_EQ(size.float_bytes(), 4 * 76);
  EXPECT_EQ(measured.layers[2].size.biases, 0);
  for (const LayerSensitivity& layer : measured.layers) {
    ASSERT_EQ(layer.points.size(), 4U);
    EXPECT_LT(std::abs(measured.loss_increase(layer.points[0].score)), 0.01) << layer.names[0] << ": 8 bits are near";
    EXPECT_GT(std::abs(measured.loss_increase(layer.points[3].score)),
              std::abs(measured.loss_increase(layer.points[0].score)))
        << layer.names[0];
  }
  EXPECT_THAT(report::to_text(measured), HasSubstr("60 training examples held out from calibration"));
}

/// y = x * w, of one input and two classes.
nn::Graph one_weight(float w0, float w1) {
  nn::Graph net;
  net.output(net.linear(net.input({1}), {.out_features = 2, .bias = false, .name = "fc"}));
  net.initialize(1);
  net.parameters()[0].parameter->value = Tensor::from<float>({w0, w1}, {2, 1});
  return net;
}

TEST(Sensitivity, LossIsTheMeanCrossEntropyOfExamplesThatDidNotCalibrate) {
  Reporter silent;
  // All examples are 1; the logits are (1, 0.4): loss log(1 + exp(-0.6)) for class 0, that and 0.6 for class 1.
  const data::Dataset rows{.name = "rows",
                           .examples = Tensor::full({5, 1}, DType::F32, 1.0),
                           .labels = Tensor::from<std::int32_t>({0, 0, 0, 0, 0}, {5}),
                           .classes = 2};
  const Trial trial(one_weight(1.0F, 0.4F), rows, {}, {.calibration = 2, .images = 3});
  EXPECT_NEAR(trial.float_score().loss, std::log1p(std::exp(-0.6)), 1e-6);
  EXPECT_EQ(trial.float_score().fit.correct, 3);
  // With a scale for the tensor, 2 bits make 0.4 of a largest weight of 1 into 0; the output's codes hold 1 exactly.
  SensitivitySettings settings{.bits = {8, 2}};
  settings.weights = quant::parse_weight_quantizer("int8 per-tensor");
  const Sensitivity measured = measure_sensitivity(trial, settings, silent);
  ASSERT_EQ(measured.layers.size(), 1U);
  EXPECT_EQ(measured.layers[0].size.bytes(2), 1 + 4);
  EXPECT_NEAR(measured.layers[0].points[0].score.loss, trial.float_score().loss, 2e-3);
  EXPECT_NEAR(measured.layers[0].points[1].score.loss, std::log1p(std::exp(-1.0)), 2e-3);
  EXPECT_EQ(measured.layers[0].points[1].score.predictions_changed, 0);
  EXPECT_LT(measured.loss_increase(measured.layers[0].points[1].score), -0.1);
}

TEST(Sensitivity, OfValuesAndFlagsIsByTheirLoss) {
  Reporter silent;
  // Of x = 1 and 2 the outputs are (x, 0.4 x). With a scale for the tensor, 2 bits make 0.4 of a weight of 1 into 0.
  data::Dataset rows{.name = "rows",
                     .examples = Tensor::full({4, 1}, DType::F32, 1.0),
                     .labels = Tensor::empty({4, 2}, DType::F32),
                     .classes = 2,
                     .targets = data::TargetKind::kValues};
  const std::vector<std::int64_t> order = data::shuffled_order(4, 1, 0);
  rows.examples.data<float>()[static_cast<std::size_t>(order[0])] = 2.0F;  // it calibrates
  rows.examples.data<float>()[static_cast<std::size_t>(order[2])] = 2.0F;
  for (std::size_t i = 0; i < 4; ++i) {
    rows.labels.data<float>()[2 * i] = rows.examples.data<float>()[i];
    rows.labels.data<float>()[2 * i + 1] = 0.4F * rows.examples.data<float>()[i];
  }
  SensitivitySettings settings{.bits = {8, 2}};
  settings.weights = quant::parse_weight_quantizer("int8 per-tensor");
  const Trial values(one_weight(1.0F, 0.4F), rows, {}, {.calibration = 1, .images = 3});
  EXPECT_NEAR(values.float_score().loss, 0.0, 1e-12);
  EXPECT_NEAR(values.float_score().fit.value(), 1.0, 1e-9);
  const Sensitivity measured = measure_sensitivity(values, settings, silent);
  EXPECT_LT(measured.layers[0].points[0].score.loss, 1e-3);
  EXPECT_GT(measured.layers[0].points[1].score.loss, 0.05) << "the second output is 0";
  EXPECT_LT(measured.layers[0].points[1].score.fit.value(), 0.6);
  EXPECT_EQ(measured.layers[0].points[1].score.predictions_changed, 0);
  EXPECT_THAT(report::to_text(measured), HasSubstr("(in brackets: R2)"));
  EXPECT_THAT(report::to_text(measured), HasSubstr("float: loss 0.00000, R2 1.0000, of 3 training examples"));
  EXPECT_EQ(report::chart_of(measured).axis, "increase of the loss (squared error)");

  rows.targets = data::TargetKind::kFlags;
  rows.labels = Tensor::from<float>({1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F, 1.0F}, {4, 2});
  const Trial flags(one_weight(1.0F, 0.4F), rows, {}, {.calibration = 1, .images = 3});
  EXPECT_EQ(flags.float_score().fit.correct, 3);
  const Sensitivity of_flags = measure_sensitivity(flags, settings, silent);
  EXPECT_EQ(of_flags.layers[0].points[0].score.predictions_changed, 0);
  EXPECT_EQ(of_flags.layers[0].points[1].score.predictions_changed, 3) << "0 is no";
  EXPECT_EQ(of_flags.drop(of_flags.layers[0].points[1].score), 3);
}

TEST(Sensitivity, MeasuresOnTheExamplesBehindThoseThatCalibrate) {
  // A label that only one example has is measured on exactly if the example is not among the first of the order.
  const std::int64_t count = 6;
  const std::vector<std::int64_t> order = data::shuffled_order(count, 3, 0);
  for (std::size_t place = 0; place < order.size(); ++place) {
    data::Dataset rows{.name = "rows",
                       .examples = Tensor::full({count, 1}, DType::F32, 1.0),
                       .labels = Tensor::zeros({count}, DType::S32),
                       .classes = 2};
    rows.labels.data<std::int32_t>()[static_cast<std::size_t>(order[place])] = 1;
    const Trial trial(one_weight(1.0F, 0.4F), rows, {}, {.calibration = 2, .images = 3, .seed = 3});
    EXPECT_EQ(trial.float_score().fit.correct, place >= 2 && place < 5 ? 2 : 3) << "place " << place;
  }
}

TEST(Sensitivity, SaysWhatHasTheBits) {
  SensitivitySettings settings;
  EXPECT_EQ(settings.config(3).weight.grid.bits, 3);
  EXPECT_EQ(settings.config(3).activation.grid.bits, 8);
  settings.what = QuantizedPart::Activations;
  EXPECT_EQ(settings.config(3).weight.grid.bits, 8);
  EXPECT_EQ(settings.config(3).activation.grid.bits, 3);
  settings.what = QuantizedPart::Both;
  EXPECT_EQ(settings.config(3).weight.grid.bits, 3);
  EXPECT_EQ(settings.config(3).activation.grid.bits, 3);
}

TEST(Sensitivity, TakesTheLossOfProbabilitiesBehindASoftmax) {
  nn::Graph net;
  net.output(net.softmax(net.linear(net.input({1}), {.out_features = 2, .bias = false, .name = "fc"})));
  net.initialize(1);
  net.parameters()[0].parameter->value = Tensor::from<float>({0.0F, 200.0F}, {2, 1});
  const data::Dataset rows{.name = "rows",
                           .examples = Tensor::full({2, 1}, DType::F32, 1.0),
                           .labels = Tensor::zeros({2}, DType::S32),
                           .classes = 2};
  const Trial trial(net, rows, {}, {.calibration = 1, .images = 1});
  EXPECT_NEAR(trial.float_score().loss, 24.0 * std::log(2.0), 1e-4) << "a probability below 2^-24";
}

TEST(Sensitivity, DoesNotDependOnThreads) {
  const auto text_at = [&](int threads) {
    Reporter silent;
    std::string text;
    ThreadPool pool(threads);
    pool.run([&] {
      const Trial trial(shared_net(), images_of(60), {}, {.calibration = 20, .images = 40});
      text = report::to_text(measure_sensitivity(trial, {.bits = {4, 2}}, silent));
    });
    return text;
  };
  EXPECT_EQ(text_at(1), text_at(3));
}

TEST(Sensitivity, RefusesWhatItCannotMeasure) {
  Reporter silent;
  EXPECT_THAT(error_of([] { Trial(shared_net(), images_of(50), {}, {.calibration = 30, .images = 21}); }),
              HasSubstr("30 examples to calibrate and 21 others to measure on are more than the 50 of rows"));
  const Trial trial(shared_net(), images_of(20), {}, {.calibration = 10, .images = 10});
  for (const std::vector<int>& bits : {std::vector<int>{}, {9}, {0}, {4, 4}, {2, 4}}) {
    EXPECT_THAT(error_of([&] { measure_sensitivity(trial, {.bits = bits}, silent); }),
                HasSubstr("expected falling bit widths from 1 to 8"));
  }
  nn::Graph none;
  none.output(none.flatten(none.input({1, 1, 2})));
  const data::Dataset rows{.name = "rows",
                           .examples = Tensor::full({2, 1, 1, 2}, DType::F32, 1.0),
                           .labels = Tensor::zeros({2}, DType::S32),
                           .classes = 2};
  const Trial empty(none, rows, {}, {.calibration = 1, .images = 1});
  EXPECT_THAT(error_of([&] { measure_sensitivity(empty, {}, silent); }), HasSubstr("no convolution and no linear"));
}

}  // namespace
}  // namespace detent::sensitivity_test
