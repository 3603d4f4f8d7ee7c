// Layers whose maps are learned, and whose weights are clipped: gradients against autograd in double precision, codes
// after conversion, files, threads.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "detent/kernels/codes/quantize.h"
#include "detent/quant/kinds/average_pool.h"
#include "detent/quant/kinds/ops/quantized_ops.h"
#include "detent/quant/kinds/qat_product.h"
#include "tests/quant/qat_fixture.h"

namespace detent::learned_maps_test {
namespace {

using autograd::Tape;
using autograd::Variable;

constexpr std::int64_t kOutputs = 4;

enum class Norm { None, Frozen, Batch };

quant::QConfig config_of(const std::string& weights, const std::string& activations) {
  quant::QConfig config{.weight = quant::parse_weight_quantizer(weights),
                        .activation = quant::parse_activation_quantizer(activations)};
  config.backward = DType::F32;
  return config;
}

/// A convolution whose maps are learned, and its twin in double precision.
struct Case {
  std::shared_ptr<quant::QatConv2d> layer;
  Norm norm;
  bool relu;
  Tensor x, seed;

  Case(Norm norm_kind, bool with_relu, const quant::QConfig& config, std::int64_t images = 6)
      : norm(norm_kind), relu(with_relu) {
    auto conv = std::make_shared<nn::Conv2d>(
        nn::Conv2d::Options{.out_channels = kOutputs, .kernel = 3, .padding = 1, .in_channels = 4});
    RandomStream random(23, "learned maps");
    conv->initialize(random);
    std::optional<quant::FoldedBatchNorm> fold;
    if (norm != Norm::None) {
      auto batch_norm = std::make_shared<nn::BatchNorm>(nn::BatchNorm::Options{.channels = kOutputs});
      batch_norm->initialize(random);
      for (std::size_t o = 0; o < kOutputs; ++o) {
        batch_norm->weight().value.data<float>()[o] = o % 2 ? -0.75F : 1.5F;
        batch_norm->running_variance().data<float>()[o] = 0.2F + 0.1F * static_cast<float>(o);
      }
      fold.emplace(std::move(batch_norm), norm == Norm::Frozen);
    }
    layer = std::make_shared<quant::QatConv2d>(std::move(conv), quant::QatOptions{.qconfig = config, .relu = relu},
                                               std::move(fold));
    const auto map =
        std::make_shared<const QParams>(QParams::per_tensor(choose_qparams(-1.0F, 1.0F, {}, Scheme::Affine), {}));
    Tape tape(nullptr, Tape::Mode::Inference);
    x = quant::quantize_op(tape.constant(test::random_images({6, 5, 4}, images, 29, -1.0F, 1.0F)), map).value();
    seed = test::random_images({6, 5, kOutputs}, images, 31, -2e-5F, 2e-5F);
    layer->output().observe(Tensor::from<float>({relu ? 0.0F : -0.5F, 0.3F, 0.6F}, {3}), 3);
  }

  nn::Parameter& parameter(std::string_view name) {
    for (const nn::Slot& slot : layer->slots()) {
      if (slot.name == name) {
        return *slot.parameter;
      }
    }
    fail("test: no parameter ", name);
  }

  /// Steps with which the codes of a quarter of each channel's range are clipped; small, so that biases, which are
  /// rounded to units of the sums, are nearly those of the twin.
  void clip_weights() {
    quant::FoldedBatchNorm* const fold = layer->batch_norm();
    const Tensor folded = layer->folded_weight(fold ? fold->factor() : std::vector<float>(), nullptr);
    const auto row = static_cast<std::size_t>(folded.shape().row_elements());
    for (std::size_t o = 0; o < kOutputs; ++o) {
      const MinMax range = kernels::min_max(folded.data<float>().subspan(o * row, row));
      parameter("weight_learned").value.data<float>()[o] = std::log(0.75F * std::max(-range.min, range.max) / 127.0F);
    }
  }

  void run() {
    Tape tape;
    nn::Context context{.tape = tape, .training = true};
    const Variable y = layer->forward(context, std::vector{tape.variable(x)});
    tape.backward(y, seed);
  }
};

/// What is learned by the formulas, of dL/d(quantized weight) and the results of autograd in double precision.
struct Twin {
  std::vector<double> weight;  // dL/ds of each channel
  double output = 0.0;         // dL/ds
};

Twin twin_of(Case& c) {
  Tape inference(nullptr, Tape::Mode::Inference);
  quant::FoldedBatchNorm* const fold = c.layer->batch_norm();
  std::vector<float> factor;
  if (fold) {
    factor = c.norm == Norm::Frozen ? fold->factor() : fold->training_factor();
  }
  const quant::QuantizedWeight quantized =
      c.layer->quantized_weight(c.x.qparams()->tensor(), factor, c.layer->folded_bias(), nullptr);
  const Tensor folded = c.layer->folded_weight(factor, nullptr);
  const auto row = static_cast<std::size_t>(folded.shape().row_elements());
  Tensor weight = quantized.codes.to(DType::F64);
  for (std::size_t i = 0; i < row * kOutputs; ++i) {
    weight.data<double>()[i] *=
        static_cast<double>(quantized.qparams.scale_of(i / row)) / (fold ? static_cast<double>(factor[i / row]) : 1.0);
  }
  Tape tape;
  const Variable w = tape.variable(weight);
  Variable y = autograd::conv2d(tape.constant(quant::dequantize_op(inference.constant(c.x)).value().to(DType::F64)), w,
                                tape.constant(c.layer->bias().value.to(DType::F64)), {.padding = 1});
  Tensor mean, variance;
  if (fold) {
    nn::BatchNorm& module = fold->module();
    mean = module.running_mean().to(DType::F64);
    variance = module.running_variance().to(DType::F64);
    y = autograd::batch_norm(y, tape.constant(module.weight().value.to(DType::F64)),
                             tape.constant(module.bias().value.to(DType::F64)), {mean, variance},
                             {.training = c.norm == Norm::Batch});
  }
  if (c.relu) {
    y = autograd::relu(y);
  }
  const ScaleZero map = c.layer->output().map();
  const CodeRange codes = c.layer->output().codes();
  Twin twin;
  Tensor seed = c.seed.to(DType::F64);
  for (std::size_t i = 0; i < static_cast<std::size_t>(seed.elements()); ++i) {
    const double t = y.value().data<double>()[i] / static_cast<double>(map.scale);
    const double code = std::nearbyint(t) + map.zero_point;
    const double clamped = std::clamp(code, static_cast<double>(codes.qmin), static_cast<double>(codes.qmax));
    double& g = seed.data<double>()[i];
    twin.output += g * (clamped - map.zero_point - (code == clamped ? t : 0.0));
    g = code == clamped ? g : 0.0;
  }
  tape.backward(y, seed);
  const Tensor dw = tape.gradient(w);
  const std::int32_t qmax = quantized.qparams.codes.qmax;
  for (std::size_t o = 0; o < kOutputs; ++o) {
    double ds = 0.0;
    for (std::size_t k = 0; k < row; ++k) {
      const double t =
          static_cast<double>(folded.data<float>()[o * row + k]) / static_cast<double>(quantized.qparams.scale_of(o));
      const double q = quantized.codes.data<std::int8_t>()[o * row + k];
      const double g = dw.data<double>()[o * row + k] / (fold ? static_cast<double>(factor[o]) : 1.0);
      ds += g * (q - (std::abs(std::nearbyint(t)) <= qmax ? t : 0.0));
    }
    twin.weight.push_back(ds);
  }
  return twin;
}

class LearnedMaps : public testing::TestWithParam<std::tuple<Norm, bool>> {};

TEST_P(LearnedMaps, GradientsAreThoseOfTheFormulas) {
  const auto [norm, relu] = GetParam();
  Case c(norm, relu, config_of("int8 per-channel lsq", "uint4 lsq"));
  c.clip_weights();
  const Twin want = twin_of(c);
  const std::vector<float> steps = [&] {
    std::vector<float> all;
    for (const float l : c.parameter("weight_learned").value.data<float>()) {
      all.push_back(std::exp(l));
    }
    return all;
  }();
  c.run();
  const Tensor& got = c.parameter("weight_learned").gradient;
  ASSERT_TRUE(got.defined());
  for (std::size_t o = 0; o < kOutputs; ++o) {
    const double expected = want.weight[o] / std::sqrt(127.0 * 36.0) / static_cast<double>(steps[o]);
    EXPECT_NEAR(got.data<float>()[o], expected, 2e-3 * std::abs(expected) + 1e-6) << "channel " << o;
  }
  const ScaleZero map = c.layer->output().map();
  const double extent = std::max(15 - map.zero_point, map.zero_point);
  const double expected =
      want.output / std::sqrt(extent * static_cast<double>(c.seed.elements())) / static_cast<double>(map.scale);
  EXPECT_NEAR(c.parameter("output_learned").gradient.data<float>()[0], expected, 2e-3 * std::abs(expected) + 1e-6);
}

TEST_P(LearnedMaps, BehindAMaxPoolGetTheGradientOfTheWinners) {
  const auto [norm, relu] = GetParam();
  const auto gradients_of = [&, norm = norm, relu = relu](bool pools) {
    Case c(norm, relu, config_of("int8 per-channel lsq", "uint4 lsq-plus"), 20);
    Tape tape;
    nn::Context context{.tape = tape, .training = true};
    const Variable y = c.layer->forward(context, std::vector{tape.variable(c.x)});
    const Variable pooled = autograd::max_pool2d(y, {.kernel_h = 3, .kernel_w = 2, .stride_h = 2, .stride_w = 1});
    const Tensor seed = test::random_images(pooled.shape().row(), 20, 37, -2e-5F, 2e-5F);
    if (pools) {
      tape.backward(pooled, seed);
    } else {  // what the max-pool would hand on, in full
      Tape other;
      const Variable codes = other.variable(y.value());
      other.backward(autograd::max_pool2d(codes, {.kernel_h = 3, .kernel_w = 2, .stride_h = 2, .stride_w = 1}), seed);
      tape.backward(y, other.gradient(codes));
    }
    std::vector<float> all;
    for (const char* const name : {"output_learned", "weight_learned", "weight"}) {
      const Tensor& gradient = c.parameter(name).gradient;
      all.insert(all.end(), gradient.data<float>().begin(), gradient.data<float>().end());
    }
    return all;
  };
  const std::vector<float> expected = gradients_of(false);
  const std::vector<float> got = gradients_of(true);
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i], 1e-4F * std::abs(expected[i]) + 1e-8F) << i;
  }
}

TEST(LearnedMap, OfFewCodesIsLearnedFromNarrowSums) {
  for (const bool relu : {false, true}) {
    quant::QConfig config = config_of("int8", "uint2 lsq");
    config.backward = DType::BF16;
    Case c(Norm::Batch, relu, config, 40);
    c.seed = test::random_images({6, 5, kOutputs}, 40, 43, 0.0F, 2e-5F);
    const Twin want = twin_of(c);
    c.run();
    const ScaleZero map = c.layer->output().map();
    const double extent = std::max(3 - map.zero_point, map.zero_point);
    const double share = 1.0 / std::sqrt(extent * static_cast<double>(c.seed.elements())) / double{map.scale};
    double squares = 0.0;
    for (const float g : std::as_const(c.seed).data<float>()) {
      squares += static_cast<double>(g) * static_cast<double>(g);
    }
    EXPECT_NEAR(c.parameter("output_learned").gradient.data<float>()[0], want.output * share,
                0.1 * std::sqrt(squares) * share);
    EXPECT_GT(std::abs(want.output), 0.3 * std::sqrt(squares)) << "a gradient that is not lost in its error";
  }
}

TEST(LearnedMap, OfAnAveragePoolGetsTheGradientOfItsMeans) {
  quant::QatAvgPool2d pool({.kernel = 2, .stride = 2}, quant::parse_activation_quantizer("uint2 lsq"),
                           quant::FakeQuant::State::Observing);
  pool.output().observe(Tensor::from<float>({0.0F, 3.0F}, {2}), 1);
  std::ranges::fill(pool.output().learned().value.data<float>(), 0.0F);  // a step of 1
  ASSERT_EQ(pool.output().map(), (ScaleZero{1.0F, 0}));
  // One channel of 2 x 8 pixels, in units of 0.5: means 0.25, 1.75, 4, 0.5.
  const Tensor x = Tensor::from<std::uint8_t>({1, 0, 4, 3, 8, 8, 0, 0, 1, 0, 4, 3, 8, 8, 2, 2}, {1, 2, 8, 1})
                       .with_qparams(std::make_shared<const QParams>(QParams::per_tensor({0.5F, 0}, {})));
  for (const DType dtype : {DType::F32, DType::BF16}) {
    pool.output().learned().gradient = Tensor();
    Tape tape;
    nn::Context context{.tape = tape, .training = true};
    const Variable y = pool.forward(context, std::vector{tape.variable(x)});
    EXPECT_EQ(std::vector<std::uint8_t>(y.value().data<std::uint8_t>().begin(), y.value().data<std::uint8_t>().end()),
              (std::vector<std::uint8_t>{0, 2, 3, 0}));
    tape.backward(y, Tensor::from<float>({0.0625F, 0.125F, 0.25F, 0.5F}, {1, 1, 4, 1}).as(dtype, nullptr));
    const double ds = (-1 * 0.25 + 2 * 0.25 + 4 * 3 - 8 * 0.5) / 16;
    EXPECT_NEAR(pool.output().learned().gradient.data<float>()[0], ds / std::sqrt(3.0 * 4.0), 1e-6);
  }
}

TEST_P(LearnedMaps, AreTheSameOnAnyNumberOfThreads) {
  const auto [norm, relu] = GetParam();
  for (const char* const weights : {"int3 per-channel lsq", "int3 per-tensor lsq", "int3 per-group 3 lsq"}) {
    const auto gradients = [&, norm = norm, relu = relu](int threads) {
      Case c(norm, relu, config_of(weights, "uint4 lsq-plus"), 90);
      ThreadPool(threads).run([&] { c.run(); });
      std::vector<float> all;
      for (const char* const name : {"weight_learned", "output_learned", "weight"}) {
        const Tensor& gradient = c.parameter(name).gradient;
        all.insert(all.end(), gradient.data<float>().begin(), gradient.data<float>().end());
      }
      return all;
    };
    const std::vector<float> one = gradients(1);
    EXPECT_EQ(gradients(2), one) << weights;
    EXPECT_EQ(gradients(3), one) << weights;
  }
}

INSTANTIATE_TEST_SUITE_P(All, LearnedMaps,
                         testing::Combine(testing::Values(Norm::None, Norm::Frozen, Norm::Batch), testing::Bool()));

TEST(ClipMask, OfWeightsStopsTheGradientOfThoseThatAreClipped) {
  // The gradient of weights does not depend on the weights where no result is clipped.
  const auto gradient = [](const std::string& weights, std::vector<float>* values) {
    Case c(Norm::None, false, config_of(weights, "uint8 fixed -50 50"));
    c.run();
    const std::span<const float> w = std::as_const(c.layer->weight().value).data<float>();
    values->assign(w.begin(), w.end());
    const std::span<const float> g = std::as_const(c.parameter("weight").gradient).data<float>();
    return std::vector<float>(g.begin(), g.end());
  };
  std::vector<float> w;
  const std::vector<float> all = gradient("int4 per-channel", &w);
  const std::vector<float> masked = gradient("int4 per-channel fixed -0.07 0.07", &w);
  std::size_t clipped = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    const bool is_clipped = std::abs(w[i]) > 0.075F;  // 7.5 steps of 0.01
    if (is_clipped) {
      EXPECT_EQ(masked[i], 0.0F) << i << ", weight " << w[i];
    } else {
      EXPECT_NEAR(masked[i], all[i], 1e-5F * (1.0F + std::abs(all[i]))) << i << ", weight " << w[i];
    }
    clipped += is_clipped ? 1 : 0;
  }
  EXPECT_GT(clipped, 20U);
  EXPECT_LT(clipped, w.size());
}

TEST(LearnedMap, OfAWeightRaisedForItsBiasGetsNoGradient) {
  Case c(Norm::None, false, config_of("int4 per-channel lsq", "uint8 fixed -50 50"));
  c.parameter("weight_learned").value.data<float>()[1] = std::log(1e-9F);
  c.layer->bias().value.data<float>()[1] = 1.0F;
  c.run();
  const std::span<const float> got = std::as_const(c.parameter("weight_learned").gradient).data<float>();
  EXPECT_NE(got[0], 0.0F);
  EXPECT_EQ(got[1], 0.0F);
}

TEST(LearnedMap, OfZeroWeightsBeginsWithThoseOfOthers) {
  auto linear = std::make_shared<nn::Linear>(nn::Linear::Options{.out_features = 3, .in_features = 2});
  RandomStream random(1, "zeros");
  linear->initialize(random);
  std::ranges::copy(std::vector<float>{1.0F, -1.0F, 0.0F, 0.0F, 3.0F, 3.0F},
                    linear->weight().value.data<float>().begin());
  const auto steps = [&](const std::string& weights) {
    quant::QatLinear layer(linear, {.qconfig = config_of(weights, "uint4")});
    std::vector<float> all;
    for (const nn::Slot& slot : layer.slots()) {
      if (slot.name == "weight_learned") {
        for (const float l : slot.tensor->data<float>()) {
          all.push_back(std::exp(l));
        }
      }
    }
    return all;
  };
  const float root = std::sqrt(7.0F);
  EXPECT_THAT(steps("int4 per-channel lsq"),
              testing::Pointwise(testing::FloatNear(1e-5F), std::vector<float>{2 / root, 4 / root, 6 / root}));
  EXPECT_THAT(steps("int4 per-tensor lsq"),
              testing::Pointwise(testing::FloatNear(1e-5F), std::vector<float>{2 * (8.0F / 6.0F) / root}));
  EXPECT_THAT(steps("int4 per-channel min-max lsq"),
              testing::Pointwise(testing::FloatNear(1e-5F), std::vector<float>{1 / 7.0F, 2 / 7.0F, 3 / 7.0F}));
  linear->weight().value.fill_zero();
  EXPECT_THAT(steps("int4 per-tensor lsq"),
              testing::Pointwise(testing::FloatNear(1e-5F), std::vector<float>{1 / 7.0F}));
}

TEST(LearnedMap, LearnsAStepThatFits) {
  // The squared error of codes as the loss, of steps that begin too large and too small.
  const auto rule = quant::make_gradient_rule({"lsq", {}});
  const CodeRange codes = signed_codes(3);
  RandomStream random(4, "values");
  std::vector<float> x(4000);
  for (float& value : x) {
    value = random.uniform(-1, 1) + random.uniform(-1, 1) + random.uniform(-1, 1);
  }
  std::vector<float> g(x.size());
  const auto error_of_step = [&](ScaleZero map) {
    double sum = 0.0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      g[i] = dequantize(quantize(x[i], map, codes), map) - x[i];
      sum += std::pow(static_cast<double>(g[i]), 2);
    }
    return sum / static_cast<double>(x.size());
  };
  for (const float first : {0.05F, 4.0F}) {
    std::vector<float> numbers = rule->numbers_of({first, 0}, codes);
    for (int step = 0; step < 500; ++step) {
      const ScaleZero map = rule->map_of(numbers, 0, codes);
      error_of_step(map);
      const double gradient = rule->gradient(numbers, 0, codes, kernels::step_sums(g, x, map, codes), 4000)[0];
      numbers[0] -= static_cast<float>(0.01 * gradient);
    }
    const ScaleZero learned = rule->map_of(numbers, 0, codes);
    EXPECT_LT(error_of_step(learned), 0.06) << "from " << first << " to " << learned.scale;
    EXPECT_GT(error_of_step({first, 0}), 0.5);
  }
}

}  // namespace
}  // namespace detent::learned_maps_test
