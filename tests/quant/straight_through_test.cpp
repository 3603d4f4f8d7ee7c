// The gradient of quantized layers is defined, not derived: straight through the rounding, with the clip mask. Here it
// is compared with autograd in double precision on the dequantized numbers.

#include <gtest/gtest.h>

#include <functional>

#include "detent/kernels/codes/quantize.h"
#include "detent/quant/kinds/ops/quantized_ops.h"
#include "detent/quant/kinds/qat_product.h"
#include "tests/quant/qat_fixture.h"

namespace detent::straight_through_test {
namespace {

using autograd::Tape;
using autograd::Variable;
using quant::QatConv2d;

constexpr std::int64_t kChannels = 5;

enum class Norm { None, Frozen, Batch };

/// A convolution on codes, its double-precision twin, and a seed gradient.
struct Case {
  Norm norm;
  bool relu;
  std::shared_ptr<QatConv2d> layer;
  Tensor x;     // codes
  Tensor seed;  // dL/dy

  explicit Case(Norm norm_kind, bool with_relu, DType backward, std::int64_t images = 4, const Shape& image = {6, 7, 3})
      : norm(norm_kind), relu(with_relu) {
    auto conv = std::make_shared<nn::Conv2d>(
        nn::Conv2d::Options{.out_channels = kChannels, .kernel = 3, .padding = 1, .in_channels = 3});
    RandomStream random(17, "straight-through");
    conv->initialize(random);
    std::optional<quant::FoldedBatchNorm> fold;
    if (norm != Norm::None) {
      auto batch_norm = std::make_shared<nn::BatchNorm>(nn::BatchNorm::Options{.channels = kChannels});
      batch_norm->initialize(random);
      for (std::size_t o = 0; o < kChannels; ++o) {
        batch_norm->weight().value.data<float>()[o] = o % 2 ? -0.75F : 1.5F;
        batch_norm->bias().value.data<float>()[o] = 0.25F * static_cast<float>(o) - 0.4F;
        batch_norm->running_mean().data<float>()[o] = 0.1F * static_cast<float>(o);
        batch_norm->running_variance().data<float>()[o] = 0.2F + 0.1F * static_cast<float>(o);
      }
      fold.emplace(std::move(batch_norm), norm == Norm::Frozen);
    }
    quant::QatOptions options;
    options.qconfig.backward = backward;
    options.relu = relu;
    layer = std::make_shared<QatConv2d>(std::move(conv), options, std::move(fold));
    layer->output().observe({relu ? 0.0F : -0.8F, 0.9F}, 32);  // narrow, so that codes are clipped
    Tensor reals = test::random_images(image, images, 23, -1.0F, 1.0F);
    const auto map =
        std::make_shared<const QParams>(QParams::per_tensor(choose_qparams(-1.0F, 1.0F, {}, Scheme::Affine), {}));
    Tape tape(nullptr, Tape::Mode::Inference);
    x = quant::quantize_op(tape.constant(reals), map).value();
    seed = test::random_images({image[0], image[1], kChannels}, images, 29, -1.0F, 1.0F);
  }
};

struct Gradients {
  Tensor x, weight, bias, gamma, beta;
};

/// What goes after the layer.
enum class After { Nothing, MaxPool, ReshapeAndMaxPool, Sum, ReshapeAndSum };

Gradients actual(Case& c, After after = After::Nothing, const std::function<void()>& before_backward = {}) {
  for (nn::Slot& slot : c.layer->slots()) {
    if (slot.parameter) {
      slot.parameter->gradient = Tensor();
    }
  }
  Tape tape;
  nn::Context context{.tape = tape, .training = true};
  const Variable x = tape.variable(c.x);
  Variable y = c.layer->forward(context, std::vector{x});
  Tensor seed = c.seed;
  if (after == After::Sum || after == After::ReshapeAndSum) {
    const auto map =
        std::make_shared<const QParams>(QParams::per_tensor(choose_qparams(-1.0F, 1.0F, {}, Scheme::Affine), {}));
    y = after == After::Sum ? y : autograd::reshape(y, y.shape());
    y = quant::add_codes(y, quant::quantize_op(tape.constant(c.seed), map), map, true, nullptr);
  } else if (after != After::Nothing) {
    y = after == After::MaxPool ? y : autograd::reshape(y, y.shape());
    y = autograd::max_pool2d(y, {.kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2});
    seed = test::random_images(y.shape().row(), y.shape()[0], 31, -1.0F, 1.0F);
  }
  if (before_backward) {
    before_backward();
  }
  tape.backward(y, seed);
  Gradients g{tape.gradient(x), c.layer->weight().gradient, c.layer->bias().gradient, {}, {}};
  if (c.layer->batch_norm()) {
    g.gamma = c.layer->batch_norm()->module().weight().gradient;
    g.beta = c.layer->batch_norm()->module().bias().gradient;
  }
  return g;
}

/// The same by autograd: dequantized input, weights as quantized, real batch norm, ReLU, and the clip mask on dy.
Gradients expected(Case& c) {
  Tape inference(nullptr, Tape::Mode::Inference);
  const Tensor x_real = quant::dequantize_op(inference.constant(c.x)).value().to(DType::F64);
  quant::FoldedBatchNorm* const fold = c.layer->batch_norm();
  std::vector<float> factor(kChannels, 1.0F);
  if (fold) {
    factor = c.norm == Norm::Frozen ? fold->factor() : fold->training_factor();
  }
  const quant::QuantizedWeight quantized = c.layer->quantized_weight(
      c.x.qparams()->tensor(), fold ? std::span<const float>(factor) : std::span<const float>(), c.layer->folded_bias(),
      nullptr);
  Tensor weight = quantized.codes.to(DType::F64);
  const std::size_t row = static_cast<std::size_t>(weight.shape().row_elements());
  for (std::size_t i = 0; i < row * kChannels; ++i) {
    weight.data<double>()[i] *=
        static_cast<double>(quantized.qparams.scale[i / row]) / static_cast<double>(factor[i / row]);
  }
  Tape tape;
  const Variable x = tape.variable(x_real);
  const Variable w = tape.variable(weight);
  const Variable b = tape.variable(c.layer->bias().value.to(DType::F64));
  Variable gamma, beta;
  Variable y = autograd::conv2d(x, w, b, {.padding = 1});
  Tensor mean, variance;
  if (fold) {
    mean = fold->module().running_mean().to(DType::F64);
    variance = fold->module().running_variance().to(DType::F64);
    gamma = tape.variable(fold->module().weight().value.to(DType::F64));
    beta = tape.variable(fold->module().bias().value.to(DType::F64));
    y = autograd::batch_norm(y, gamma, beta, {mean, variance}, {.training = c.norm == Norm::Batch});
  }
  if (c.relu) {
    y = autograd::relu(y);
  }
  Tensor seed = c.seed.to(DType::F64);
  const ScaleZero map = c.layer->output().map();
  for (std::size_t i = 0; i < static_cast<std::size_t>(seed.elements()); ++i) {
    // Codes outside [0, 255] before clamping have no gradient. Borders are met by no sample of this seed.
    const double code = y.value().data<double>()[i] / static_cast<double>(map.scale) + map.zero_point;
    seed.data<double>()[i] *= code >= -0.5 && code <= 255.5 ? 1.0 : 0.0;
  }
  tape.backward(y, seed);
  Gradients g{tape.gradient(x), tape.gradient(w), tape.gradient(b), {}, {}};
  if (fold) {
    g.gamma = tape.gradient(gamma);
    g.beta = tape.gradient(beta);
  }
  return g;
}

double norm_of(const Tensor& t) {
  double sum = 0.0;
  for (const double v : t.data<double>()) {
    sum += v * v;
  }
  return std::sqrt(sum);
}

void expect_close(const char* what, const Tensor& got, const Tensor& want, double tolerance) {
  ASSERT_TRUE(got.defined()) << what;
  ASSERT_EQ(got.shape(), want.shape()) << what;
  const Tensor got64 = got.to(DType::F64);
  double difference = 0.0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(want.elements()); ++i) {
    difference += std::pow(got64.data<double>()[i] - want.data<double>()[i], 2);
  }
  EXPECT_LE(std::sqrt(difference), tolerance * (norm_of(want) + 1e-3)) << what;
}

class StraightThrough : public testing::TestWithParam<std::tuple<Norm, bool, DType>> {};

TEST_P(StraightThrough, GradientIsThatOfTheDequantizedNumbers) {
  const auto [norm, relu, dtype] = GetParam();
  Case c(norm, relu, dtype);
  const Gradients want = expected(c);
  const Gradients got = actual(c);
  const double tolerance = dtype == DType::F32 ? 2e-4 : 1e-2;
  expect_close("x", got.x, want.x, tolerance);
  expect_close("weight", got.weight, want.weight, tolerance);
  expect_close("bias", got.bias, want.bias, tolerance);
  if (norm != Norm::None) {
    // Through a frozen fold gamma's gradient meets the weights before rounding, as straight-through asks; the twin's
    // after.
    expect_close("gamma", got.gamma, want.gamma, norm == Norm::Frozen ? 0.05 : tolerance);
    expect_close("beta", got.beta, want.beta, tolerance);
  }
}

TEST_P(StraightThrough, IsThatOfTheStatisticsAtForward) {
  const auto [norm, relu, dtype] = GetParam();
  Case one(norm, relu, dtype), two(norm, relu, dtype);
  const Gradients want = actual(one);
  const Gradients got = actual(two, After::Nothing, [&] {
    if (quant::FoldedBatchNorm* const fold = two.layer->batch_norm()) {
      std::ranges::fill(fold->module().running_mean().data<float>(), 7.0F);
      std::ranges::fill(fold->module().running_variance().data<float>(), 50.0F);
    }
  });
  expect_close("x", got.x, want.x.to(DType::F64), 0.0);
  expect_close("weight", got.weight, want.weight.to(DType::F64), 0.0);
  expect_close("bias", got.bias, want.bias.to(DType::F64), 0.0);
  if (norm != Norm::None) {
    expect_close("gamma", got.gamma, want.gamma.to(DType::F64), 0.0);
    expect_close("beta", got.beta, want.beta.to(DType::F64), 0.0);
  }
}

TEST_P(StraightThrough, ThroughAMaxPoolIsThatOfTheDenseGradient) {
  // Of the winners alone, where a max-pool follows at once; of all pixels, where an op between makes it dense.
  const auto [norm, relu, dtype] = GetParam();
  Case one(norm, relu, dtype, 21, {14, 13, 3}), two(norm, relu, dtype, 21, {14, 13, 3});
  const Gradients winners = actual(one, After::MaxPool);
  const Gradients pixels = actual(two, After::ReshapeAndMaxPool);
  const double tolerance = dtype == DType::F32 ? 1e-5 : 1e-2;
  expect_close("x", winners.x, pixels.x.to(DType::F64), tolerance);
  expect_close("weight", winners.weight, pixels.weight.to(DType::F64), tolerance);
  expect_close("bias", winners.bias, pixels.bias.to(DType::F64), tolerance);
  if (norm != Norm::None) {
    expect_close("gamma", winners.gamma, pixels.gamma.to(DType::F64), tolerance);
    expect_close("beta", winners.beta, pixels.beta.to(DType::F64), tolerance);
  }
}

void expect_same(const Case& c, const Gradients& got, const Gradients& want) {
  expect_close("x", got.x, want.x.to(DType::F64), 0.0);
  expect_close("weight", got.weight, want.weight.to(DType::F64), 0.0);
  expect_close("bias", got.bias, want.bias.to(DType::F64), 0.0);
  if (c.norm != Norm::None) {
    expect_close("gamma", got.gamma, want.gamma.to(DType::F64), 0.0);
    expect_close("beta", got.beta, want.beta.to(DType::F64), 0.0);
  }
}

TEST_P(StraightThrough, ThroughASumIsThatOfTheDenseGradient) {
  // Of one mask that joins both, where the sum follows at once and images are whole bytes of masks.
  const auto [norm, relu, dtype] = GetParam();
  for (const Shape& image : {Shape{8, 8, 3}, Shape{7, 7, 3}}) {
    Case one(norm, relu, dtype, 21, image), two(norm, relu, dtype, 21, image);
    expect_same(one, actual(one, After::Sum), actual(two, After::ReshapeAndSum));
  }
}

TEST_P(StraightThrough, IsTheSameOnAnyNumberOfThreads) {
  const auto [norm, relu, dtype] = GetParam();
  Case one(norm, relu, dtype, 150, {20, 19, 3}), two(norm, relu, dtype, 150, {20, 19, 3});
  Gradients alone, shared;
  ThreadPool(1).run([&] { alone = actual(one); });
  ThreadPool(2).run([&] { shared = actual(two); });
  expect_same(one, shared, alone);
}

TEST_P(StraightThrough, KeepsCodesAndMask) {
  // And of batch statistics with bf16 gradients 8 bits of each sum; nothing of the size of the sums themselves.
  const auto [norm, relu, dtype] = GetParam();
  Case c(norm, relu, dtype, 64, {16, 16, 3});
  Arena arena;
  Tape tape(&arena);
  nn::Context context{.tape = tape, .training = true};
  const std::size_t before = arena.bytes_in_use();
  const Variable y = c.layer->forward(context, std::vector{tape.variable(c.x)});
  const auto elements = static_cast<std::size_t>(y.value().elements());
  const std::size_t narrow = norm == Norm::Batch && dtype == DType::BF16 ? elements : 0;
  constexpr std::size_t kConstants = 8192;  // weights' codes, and what the arena rounds up
  EXPECT_LE(arena.bytes_in_use() - before, elements + elements / 8 + narrow + kConstants);
}

INSTANTIATE_TEST_SUITE_P(All, StraightThrough,
                         testing::Combine(testing::Values(Norm::None, Norm::Frozen, Norm::Batch), testing::Bool(),
                                          testing::Values(DType::F32, DType::BF16)));

TEST(StraightThroughOps, QuantizePassesWhereTheCodeIsInRange) {
  const auto map = std::make_shared<const QParams>(QParams::per_tensor({1.0F, 10}, {}));
  // Codes before clamping: -1 (out), 0, 10, 255, 256 (out; 245.5 is a tie that goes to 246), 255 from a tie, NaN.
  const Tensor x =
      Tensor::from<float>({-11.0F, -10.5F, 0.0F, 245.0F, 245.6F, 244.5F, std::numeric_limits<float>::quiet_NaN()}, {7});
  Tape tape;
  const Variable leaf = tape.variable(x);
  const Variable y = quant::quantize_op(leaf, map);
  tape.backward(y, Tensor::full({7}, DType::F32, 1.0));
  const std::vector<int> codes{0, 0, 10, 255, 255, 254, 0};
  const std::vector<float> gradient{0.0F, 1.0F, 1.0F, 1.0F, 0.0F, 1.0F, 0.0F};
  for (std::size_t i = 0; i < codes.size(); ++i) {
    EXPECT_EQ(y.value().data<std::uint8_t>()[i], codes[i]) << "element " << i;
    EXPECT_EQ(tape.gradient(leaf).data<float>()[i], gradient[i]) << "element " << i;
  }
}

TEST(StraightThroughOps, ReluOfCodesIsMaxWithZeroPoint) {
  const auto map = std::make_shared<const QParams>(QParams::per_tensor({0.5F, 100}, {}));
  const Tensor x = Tensor::from<std::uint8_t>({0, 99, 100, 101, 255}, {5}).with_qparams(map);
  Tape tape;
  const Variable leaf = tape.variable(x);
  const Variable y = quant::relu_codes(leaf);
  tape.backward(y, Tensor::full({5}, DType::F32, 3.0));
  const std::vector<int> codes{100, 100, 100, 101, 255};
  const std::vector<float> gradient{0.0F, 0.0F, 0.0F, 3.0F, 3.0F};
  for (std::size_t i = 0; i < codes.size(); ++i) {
    EXPECT_EQ(y.value().data<std::uint8_t>()[i], codes[i]) << "element " << i;
    EXPECT_EQ(tape.gradient(leaf).data<float>()[i], gradient[i]) << "element " << i;
  }
}

TEST(StraightThroughOps, DropoutOfCodesKeepsTheExpectation) {
  const auto map = std::make_shared<const QParams>(QParams::per_tensor({0.5F, 7}, {}));
  const Tensor x = Tensor::full({4000}, DType::U8, 27).with_qparams(map);  // real 10
  Tape tape;
  const Variable y = quant::dropout_codes(tape.variable(x), 0.2, RandomStream(1, "dropout"));
  const Tensor reals = quant::dequantize_op(y).value();
  double mean = 0.0;
  for (const float v : reals.data<float>()) {
    EXPECT_TRUE(v == 0.0F || v == 12.5F) << v;
    mean += static_cast<double>(v) / 4000.0;
  }
  EXPECT_NEAR(mean, 10.0, 0.3);
}

TEST(QatTraining, LearnsWhatFloatLearns) {
  nn::Graph net = test::plain_net();
  net.initialize(2);
  quant::QConfig config;
  config.activation.range = {"moving-average", {0.2}};  // the ranges of a net that starts from nothing grow fast
  nn::Graph qat = quant::prepare_qat(net, quant::QConfigMapping(config));
  const Tensor images = test::random_images({8, 8, 1}, 24, 4);
  const Tensor labels = test::random_labels(24, 3, 4);
  double qat_loss = 0.0;
  double float_loss = 0.0;
  for (int step = 0; step < 200; ++step) {
    float_loss = test::train_step(net, images, labels, 0.3F);
    qat_loss = test::train_step(qat, images, labels, 0.3F);
  }
  EXPECT_LT(float_loss, 0.7);
  EXPECT_NEAR(qat_loss, float_loss, 0.1 * float_loss + 0.02);
}

TEST(QatTraining, AChannelWithGammaZeroGoesOnLearning) {
  Case c(Norm::Batch, true, DType::F32);
  c.layer->batch_norm()->module().weight().value.data<float>()[2] = 0.0F;
  c.layer->batch_norm()->module().bias().value.data<float>()[2] = 0.3F;
  const Gradients g = actual(c);
  for (const float v : g.weight.data<float>()) {
    EXPECT_TRUE(std::isfinite(v));
  }
  EXPECT_NE(g.gamma.data<float>()[2], 0.0F);
}

}  // namespace
}  // namespace detent::straight_through_test
