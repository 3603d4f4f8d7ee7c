// Weights of 1 bit and ternary ones: their scales, their codes, what becomes of bad numbers, and exactness of every
// grid of weights with every width of activations.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "detent/nn/model_file.h"
#include "detent/quant/kinds/product/integer_product.h"
#include "detent/quant/kinds/qat_product.h"
#include "detent/quant/quantizers/weight_codes.h"
#include "detent/runtime/model_file.h"
#include "tests/quant/qat_fixture.h"

namespace detent::few_bits_test {
namespace {

using quant::QuantizedWeight;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLeast = 0x1p-60F;

struct Made {
  float scale = 0;
  std::vector<int> codes;
  bool operator==(const Made&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Made& made) {
  return out << made.scale << " * " << testing::PrintToString(made.codes);
}

Made made(const std::string& spec, const std::vector<float>& values, float bias = 0, float input_scale = 1) {
  quant::WeightCodes codes(quant::parse_weight_quantizer(spec), values, "a channel");
  codes.fit(bias, input_scale);
  std::vector<std::int8_t> q(values.size());
  codes.quantize(values, q.data());
  return {codes.scale(), {q.begin(), q.end()}};
}

TEST(WeightsOf1Bit, AreTheirSignsTimesTheirMeanMagnitude) {
  EXPECT_EQ(made("int1", {0.5F, -1.0F, 0.0F, 2.5F}), (Made{1.0F, {1, -1, 1, 1}}));
  EXPECT_EQ(made("binary", {-0.25F, -0.75F}), (Made{0.5F, {-1, -1}}));
  EXPECT_EQ(made("int1 power-of-two", {0.5F, -1.0F, 0.75F}), (Made{1.0F, {1, -1, 1}})) << "of 0.75";
  EXPECT_EQ(made("int1 min-max", {0.5F, -2.0F}), (Made{2.0F, {1, -1}})) << "the rule that is said";
}

TEST(WeightsOf1Bit, OfBadNumbersAreDefined) {
  EXPECT_EQ(made("int1", {0, -0.0F, 0}), (Made{kLeast, {1, 1, 1}}));
  EXPECT_EQ(made("int1", {-3, -3}), (Made{3, {-1, -1}}));
  EXPECT_EQ(made("int1", {kNaN, 1, -3}), (Made{2, {-1, 1, -1}}));
  EXPECT_EQ(made("int1", {kInfinity, -kInfinity, 4}), (Made{4, {1, -1, 1}}));
  for (const char* const spec : {"int1", "ternary"}) {
    EXPECT_EQ(error_of([&] {
                made(spec, {kNaN, kInfinity});
              }),
              "weights: no finite value in a channel; training has diverged");
    EXPECT_EQ(error_of([&] { made(spec, {}); }), "weights: no finite value in a channel; training has diverged");
  }
}

TEST(TernaryWeights, AreZeroUpToAShareOfTheMean) {
  // mean |w| = 1, t = 0.7; the mean of 2, 1 and 0.75 is 1.25
  EXPECT_EQ(made("ternary", {2, -1, 0.25F, -0.75F}), (Made{1.25F, {1, -1, 0, -1}}));
  EXPECT_EQ(made("ternary", {0, 0}), (Made{kLeast, {0, 0}}));
  EXPECT_EQ(made("ternary", {-3, -3}), (Made{3, {-1, -1}}));
  EXPECT_EQ(made("ternary", {kNaN, 1, -3}), (Made{3, {-1, 0, -1}})) << "t = 1.4";
  EXPECT_EQ(made("ternary", {kInfinity, -kInfinity, 4}), (Made{4, {1, -1, 1}}));
  EXPECT_EQ(made("ternary", {1e-45F, 0}), (Made{kLeast, {1, 0}})) << "half the least number above 0 is 0";
  EXPECT_EQ(made("ternary power-of-two", {2, -1, 0.25F, -0.75F}), (Made{2, {1, -1, 0, -1}}));
}

// 2^30 * s_x = 2^30: a bias of 2^32 raises scales to 4.
TEST(WeightsOfFewBits, WhoseScaleIsRaisedForABias) {
  EXPECT_EQ(made("int1", {0.5F, -1.5F}, 0x1p32F), (Made{4, {1, -1}})) << "signs stay";
  EXPECT_EQ(made("ternary", {0.5F, -1.5F, 3, -2}, 0x1p32F), (Made{4, {0, 0, 1, 0}})) << "the nearest codes";
  EXPECT_EQ(made("int2", {0.5F, -1.5F, 3, -2}, 0x1p32F), (Made{4, {0, 0, 1, 0}}));
  EXPECT_EQ(made("ternary", {0.5F, -1.5F, 3, -2}, 0x1p30F), made("ternary", {0.5F, -1.5F, 3, -2})) << "it fits";
  EXPECT_EQ(made("int1", {0, 0}, 1.0F, 0.5F).scale, 0x1p-29F);
}

TEST(WeightsOfFewBits, HaveAScaleOfEachChannelAndGroup) {
  // O 2, I 5; groups of 2, 2 and 1
  const Tensor weight = Tensor::from<float>({1, -3, 0, 0, 5, -1, -1, 2, -4, 0.5F}, {2, 5});
  const auto scales_of = [&](const std::string& spec) {
    const QuantizedWeight q = quant::quantize_weight(weight, {}, 1.0F, quant::parse_weight_quantizer(spec));
    q.qparams.validate();
    return q.qparams.scale;
  };
  EXPECT_THAT(scales_of("int1 per-tensor"), ElementsAre(1.75F));
  EXPECT_THAT(scales_of("int1 per-channel"), ElementsAre(1.8F, 1.7F));
  EXPECT_THAT(scales_of("int1 per-group 2"), ElementsAre(2, kLeast, 5, 1, 3, 0.5F));
  EXPECT_THAT(scales_of("ternary per-group 2"), ElementsAre(3, kLeast, 5, 1, 4, 0.5F));
  EXPECT_THAT(scales_of("ternary per-channel"), ElementsAre(4, 3)) << "t = 1.26 and 1.19";
}

TEST(WeightsOfFewBits, AreRefusedWhereNothingIsMeant) {
  const auto error_with = [](const std::string& weights, const std::string& activations) {
    return error_of([&] {
      quant::QConfig{.weight = quant::parse_weight_quantizer(weights),
                     .activation = quant::parse_activation_quantizer(activations)}
          .validate();
    });
  };
  EXPECT_EQ(error_with("int1", "uint1"), "no error");
  EXPECT_EQ(error_with("ternary", "uint2"), "no error");
  EXPECT_THAT(error_with("int0", "uint8"), HasSubstr("weights: expected 1 to 8 bits, got 0"));
  EXPECT_THAT(error_with("ternary percentile 99", "uint8"),
              HasSubstr("weights: ternary codes have a range of their own rule; leave 'percentile 99' out, or write "
                        "int2 percentile 99"));
  EXPECT_THAT(error_with("int8", "ternary"), HasSubstr("write activations = \"uint2 per-tensor affine\""));
  EXPECT_THAT(error_with("int8", "int1"), HasSubstr("write activations = \"uint1 per-tensor affine\""));
  EXPECT_THAT(error_of([] { quant::parse_weight_quantizer("ternari"); }), HasSubstr("the nearest word is 'ternary'"));
}

nn::Graph trained(std::uint64_t seed, const quant::QConfig& config, const nn::Graph& made_of) {
  nn::Graph net = made_of;
  net.initialize(seed);
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(config));
  for (std::uint64_t step = 0; step < 4; ++step) {
    if (step == 2) {
      quant::freeze_batch_norm(qat);
    }
    test::train_step(qat, test::random_images({12, 12, 3}, 8, seed * 100 + step, -1.0F, 1.0F),
                     test::random_labels(8, 5, seed * 100 + step), 0.05F, step);
  }
  quant::freeze_observers(qat);
  return qat;
}

void expect_exact(const nn::Graph& qat, const runtime::Model& model, const std::string& what) {
  evaluation::Verifier verifier(qat, model);
  verifier.feed(test::random_images({12, 12, 3}, 17, 9, -1.5F, 1.5F));
  EXPECT_EQ(verifier.report().codes_mismatched, 0) << what << '\n' << evaluation::to_text(verifier.report());
  EXPECT_GT(verifier.report().codes_compared, 17 * 1000) << what;
}

class EveryGrid : public testing::TestWithParam<std::string> {};

TEST_P(EveryGrid, ShipsTheTrainedCodesOfActivationsOfEveryWidth) {
  std::uint64_t seed = 0;
  for (const std::string granularity : {"per-tensor", "per-channel", "per-group 3"}) {
    for (int bits = 1; bits <= 8; ++bits) {
      const quant::QConfig config{.weight = quant::parse_weight_quantizer(GetParam() + " " + granularity),
                                  .activation = quant::parse_activation_quantizer("uint" + std::to_string(bits)),
                                  .range = bits % 2 == 0 ? quant::RangeUse::Previous : quant::RangeUse::Current};
      const nn::Graph qat = trained(++seed, config, test::everything_net());
      const runtime::Model model = quant::convert(qat).model;
      expect_exact(qat, test::through_file(model),
                   quant::to_text(config.weight) + ", " + std::to_string(bits) + " bits");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Grids, EveryGrid,
                         testing::Values("int1", "ternary", "int2", "int3", "int4", "int5", "int6", "int7", "int8"),
                         [](const auto& grid) { return grid.param; });

/// Convolutions, padded and not, with and without batch norm, whose inputs are signs.
nn::Graph signs_net() {
  nn::Graph net;
  auto x = net.input({12, 12, 3});
  const auto sign = [&](nn::Graph::Handle from) { return net.activation(from, kernels::Activation::Sign); };
  x = net.conv2d(x, {.out_channels = 32, .kernel = 3, .padding = 1, .name = "conv1"});
  x = sign(net.batch_norm(x, {.name = "bn1"}));
  x = sign(net.conv2d(x, {.out_channels = 32, .kernel = 3, .padding = 1, .name = "conv2"}));
  x = net.max_pool(x, {.kernel = 2, .name = "pool"});
  x = sign(net.batch_norm(net.conv2d(x, {.out_channels = 24, .kernel = 5, .name = "conv3"}), {.name = "bn3"}));
  x = sign(net.linear(net.flatten(x), {.out_features = 40, .name = "fc1"}));
  net.output(net.linear(x, {.out_features = 5, .name = "fc2"}));
  return net;
}

TEST(Signs, ShipTheTrainedCodes) {
  for (const std::string weights : {"int1", "ternary", "int1 per-tensor", "int8", "ternary per-group 8"}) {
    for (const std::string activations : {"uint8", "uint4"}) {
      const quant::QConfig config{.weight = quant::parse_weight_quantizer(weights),
                                  .activation = quant::parse_activation_quantizer(activations)};
      const nn::Graph qat = trained(3, config, signs_net());
      const TempFolder folder;
      nn::save_model({.graph = qat, .kind = "qat"}, folder / "qat.h5");
      const nn::Model read = nn::load_model(folder / "qat.h5", quant::factories_of());
      const runtime::Model model = test::through_file(quant::convert(qat).model);
      expect_exact(qat, model, weights);
      expect_exact(read.graph, model, weights);
    }
  }
}

TEST(Signs, HaveTheCodesZeroAndTwoWhateverIsAskedFor) {
  for (const std::string activations : {"uint8", "uint1", "uint3 percentile 99"}) {
    const nn::Graph qat = trained(4, {.activation = quant::parse_activation_quantizer(activations)}, signs_net());
    const runtime::Model model = quant::convert(qat).model;
    int signs = 0;
    for (const runtime::Node& node : model.nodes) {
      if (const auto* const lookup = std::get_if<runtime::Lookup>(&node.op)) {
        ++signs;
        EXPECT_EQ(*node.output.qparams, QParams::per_tensor({1.0F, 1}, unsigned_codes(2)));
        const ScaleZero input = model.type(node.inputs[0]).qparams->tensor();
        for (std::int32_t q = 0; q < 256; ++q) {
          ASSERT_EQ(lookup->table.data<std::uint8_t>()[static_cast<std::size_t>(q)], q >= input.zero_point ? 2 : 0);
        }
      }
    }
    EXPECT_EQ(signs, 4);
  }
}

TEST(Signs, LetTheGradientThroughBetweenMinusOneAndOne) {
  nn::Graph net;
  net.output(net.activation(net.input({5}), kernels::Activation::Sign, "sign"));
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping());
  autograd::Tape tape;
  nn::Context context{.tape = tape, .training = true};
  const auto x = tape.variable(Tensor::from<float>({-2, -1, 0, 0.5F, 3}, {1, 5}));
  const auto y = qat.forward(context, x);
  EXPECT_THAT(y.value().data<float>(), ElementsAre(-1, -1, 1, 1, 1));
  tape.backward(autograd::sum(y));
  // The codes of x are those of [-2, 3]: 0.5 and -1 are met within a step of 5 / 255.
  EXPECT_THAT(tape.gradient(x).data<float>(), ElementsAre(0, testing::_, 1, 1, 0));
}

// Weights that a batch norm makes 0 have the code 1 and hardly weigh beside the bias, which is kept.
TEST(WeightsOfFewBits, KeepTheBiasOfABatchNormWithoutGain) {
  const float input_scale = 0.01F;
  const std::vector<float> bias{2.0F, -0.5F};
  for (const char* const spec : {"int1 per-channel", "ternary per-channel", "int1 per-tensor"}) {
    const QuantizedWeight q = quant::quantize_weight(Tensor::zeros({2, 400}, DType::F32), bias, input_scale,
                                                     quant::parse_weight_quantizer(spec));
    const std::vector<std::int32_t> bias_codes = kernels::bias_codes({input_scale, 0}, q.qparams, bias);
    for (std::size_t o = 0; o < 2; ++o) {
      const double unit = double{input_scale} * double{q.qparams.scale_of(o)};
      EXPECT_NEAR(unit * bias_codes[o], double{bias[o]}, 1e-6) << spec;
      EXPECT_LT(unit * 400 * 255, 4e-4) << spec << ": all inputs at their largest";
    }
  }
}

// Two classes that a binarized network tells apart: it learns, weights of 1 bit or ternary.
TEST(WeightsOfFewBits, Learn) {
  for (const std::string weights : {"int1", "ternary"}) {
    const quant::QConfig config{.weight = quant::parse_weight_quantizer(weights)};
    nn::Graph net = signs_net();
    net.initialize(5);
    nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(config));
    const Tensor images = test::random_images({12, 12, 3}, 32, 5, -1.0F, 1.0F);
    const Tensor labels = test::random_labels(32, 5, 5);
    std::vector<double> losses;
    for (std::uint64_t step = 0; step < 40; ++step) {
      losses.push_back(test::train_step(qat, images, labels, 0.02F, step));
    }
    EXPECT_LT(losses.back(), 0.7 * losses.front()) << weights;
  }
}

}  // namespace
}  // namespace detent::few_bits_test
