// Weights with a scale a group of input channels: their codes, their bias, their gradient, and exactness in every kind
// of product.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/nn/model_file.h"
#include "detent/quant/kinds/product/integer_product.h"
#include "detent/quant/kinds/qat_product.h"
#include "detent/runtime/model_file.h"
#include "detent/runtime/reference.h"
#include "tests/quant/qat_fixture.h"

namespace detent::per_group_test {
namespace {

using quant::PerGroup;
using quant::QuantizedWeight;
using ::testing::HasSubstr;

quant::QuantizerSpec spec_of(std::int64_t size, int bits = 8) {
  quant::QuantizerSpec spec = quant::int8_weights();
  spec.grid.bits = bits;
  spec.granularity = PerGroup{size};
  return spec;
}

/// conv, grouped conv, depthwise (one channel: as per channel), conv with batch norm, linear; no size divides 6.
nn::Graph products_net() {
  nn::Graph net;
  auto x = net.input({8, 8, 6});
  x = net.relu(net.conv2d(x, {.out_channels = 12, .kernel = 3, .padding = 1, .name = "conv"}));
  x = net.conv2d(x, {.out_channels = 8, .kernel = 3, .groups = 2, .name = "grouped"});
  x = net.relu(net.conv2d(x, {.out_channels = 8, .kernel = 3, .groups = 8, .name = "depthwise"}));
  x = net.conv2d(x, {.out_channels = 9, .kernel = 1, .bias = false, .name = "pointwise"});
  x = net.relu(net.batch_norm(x, {.name = "bn"}));
  x = net.max_pool(x, {.kernel = 2, .name = "pool"});
  net.output(net.linear(net.flatten(x), {.out_features = 5, .name = "fc"}));
  return net;
}

nn::Graph trained(std::uint64_t seed, const quant::QConfig& config) {
  nn::Graph net = products_net();
  net.initialize(seed);
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(config));
  for (std::uint64_t step = 0; step < 6; ++step) {
    if (step == 3) {
      quant::freeze_batch_norm(qat);
    }
    test::train_step(qat, test::random_images({8, 8, 6}, 10, seed * 100 + step, -1.0F, 1.0F),
                     test::random_labels(10, 5, seed * 100 + step), 0.05F, step);
  }
  quant::freeze_observers(qat);
  return qat;
}

TEST(PerGroup, WeightsHaveTheScaleOfTheirGroup) {
  // O 2, KH 1, KW 2, I 3; groups of 2 channels, the last of 1.
  const Tensor weight = Tensor::from<float>({1, -2, 8, 0.5F, 1, -4, 10, 20, 0, -30, 5, 0}, {2, 1, 2, 3});
  const QuantizedWeight q = quant::quantize_weight(weight, {}, 1.0F, spec_of(2));
  EXPECT_EQ(q.qparams.group, 2);
  EXPECT_EQ(q.qparams.groups, 2);
  EXPECT_EQ(q.qparams.channels(), 2U);
  q.qparams.validate();
  const std::vector<float> scales{2.0F / 127, 8.0F / 127, 30.0F / 127, 0x1p-60F};
  EXPECT_EQ(q.qparams.scale, scales);
  EXPECT_EQ(q.qparams.scale_of(0), scales[1]) << "the largest";
  const Tensor numbers = quant::numbers_of(q, DType::F32, nullptr);
  for (std::size_t i = 0; i < 12; ++i) {
    const float real = q.qparams.scale_of(i / 6) * numbers.data<float>()[i];
    EXPECT_NEAR(real, weight.data<float>()[i], 0.51F * q.qparams.scale_of(i / 6, i % 3 / 2)) << i;
  }
  const QuantizedWeight whole = quant::quantize_weight(weight, {}, 1.0F, spec_of(3));
  EXPECT_FALSE(whole.qparams.is_per_group()) << "a channel that is one group";
}

TEST(PerGroup, TheBiasAlwaysFits) {
  const Tensor weight = Tensor::from<float>({1e-9F, 1e-9F, 2e-9F, 0, 0, 0, 0, 0}, {2, 4});
  const std::vector<float> bias{1000.0F, -7.0F};
  const QuantizedWeight q = quant::quantize_weight(weight, bias, 1e-3F, spec_of(2));
  const std::vector<std::int32_t> codes = kernels::bias_codes({1e-3F, 0}, q.qparams, bias);
  for (std::size_t o = 0; o < 2; ++o) {
    EXPECT_LE(std::abs(codes[o]), kLargestBias);
    EXPECT_NEAR(1e-3 * double{q.qparams.scale_of(o)} * codes[o], double{bias[o]}, 1e-6 * std::abs(double{bias[o]}));
  }
}

TEST(PerGroup, TheTextSaysTheSize) {
  const quant::QuantizerSpec spec = quant::parse_weight_quantizer("int4 per-group 32 symmetric min-max");
  EXPECT_EQ(spec.granularity, quant::Granularity(PerGroup{32}));
  EXPECT_EQ(quant::to_text(spec), "int4 per-group 32 symmetric min-max");
  EXPECT_THAT(error_of([] { quant::parse_weight_quantizer("int4 per-group"); }), HasSubstr("expected 1 numbers"));
  EXPECT_THAT(error_of([] { quant::parse_weight_quantizer("int4 per-group 0"); }), HasSubstr("per-group 32"));
  EXPECT_THAT(error_of([] { quant::parse_weight_quantizer("int4 per-group 1.5"); }), HasSubstr("a whole number"));
  EXPECT_THAT(error_of([] { quant::parse_activation_quantizer("uint8 per-group 8"); }),
              HasSubstr("activations have one scale"));
}

class PerGroupExactness : public testing::TestWithParam<int> {};

TEST_P(PerGroupExactness, TheShippedModelGivesTheTrainedCodes) {
  const auto seed = static_cast<std::uint64_t>(GetParam());
  quant::QConfig config{.weight = spec_of(std::array{2, 4, 5}[seed % 3], seed % 2 == 0 ? 4 : 8)};
  config.range = seed % 4 == 3 ? quant::RangeUse::Current : quant::RangeUse::Previous;
  config.activation.range = seed == 2 ? quant::RangeSpec{"percentile", {99.5}} : quant::RangeSpec{};
  const nn::Graph qat = trained(seed, config);
  const runtime::Model model = quant::convert(qat).model;
  model.validate();
  const TempFolder folder;
  nn::save_model({.graph = qat, .kind = "qat"}, folder / "qat.h5");
  runtime::save_model({.model = model}, folder / "int8.h5");
  const nn::Model read_qat = nn::load_model(folder / "qat.h5", quant::factories_of());
  const runtime::ModelFile read = runtime::load_model(folder / "int8.h5");
  const Tensor images = test::random_images({8, 8, 6}, 33, seed, -1.5F, 1.5F);
  for (const nn::Graph* const prepared : {&qat, &read_qat.graph}) {
    evaluation::Verifier verifier(*prepared, read.model);
    verifier.feed(images);
    EXPECT_EQ(verifier.report().codes_mismatched, 0) << evaluation::to_text(verifier.report());
    EXPECT_GT(verifier.report().codes_compared, 33 * 1000);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, PerGroupExactness, testing::Range(0, 6));

// With one group of everything and with many the loss falls alike, through batch statistics as well.
TEST(PerGroup, Trains) {
  const auto losses = [](const quant::QConfig& config) {
    nn::Graph net = products_net();
    net.initialize(5);
    nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(config));
    const Tensor images = test::random_images({8, 8, 6}, 32, 5, -1.0F, 1.0F);
    const Tensor labels = test::random_labels(32, 5, 5);
    std::vector<double> all;
    for (std::uint64_t step = 0; step < 30; ++step) {
      all.push_back(test::train_step(qat, images, labels, 0.1F, step));
    }
    return all;
  };
  const std::vector<double> per_channel = losses({});
  const std::vector<double> per_group = losses({.weight = spec_of(4)});
  EXPECT_LT(per_group.back(), per_group.front() - 0.1);
  EXPECT_NEAR(per_group[0], per_channel[0], 0.05);
  EXPECT_NEAR(per_group.back(), per_channel.back(), 0.1);
}

}  // namespace
}  // namespace detent::per_group_test
