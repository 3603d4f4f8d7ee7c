#include "detent/kernels/layers/batch_norm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kernels/pointwise.h"

namespace detent::kernels {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::random_reals;

constexpr double kEps = 1e-5;
constexpr double kMomentum = 0.1;

struct Size {
  std::int64_t rows, channels;
};
const std::vector<Size> kSizes{{2, 1}, {3, 5}, {7, 64}, {128, 20}, {5000, 3}, {9001, 50}, {20000, 32}};

std::string describe(Size s) { return std::to_string(s.rows) + " x " + std::to_string(s.channels); }

// Everything that a batch norm has, at the defaults of a new one.
template <typename T>
struct Layer {
  explicit Layer(Size s)
      : size(s),
        gamma(random_reals<T>(s.channels, 21, 0.5, 2)),
        beta(random_reals<T>(s.channels, 22)),
        running_mean(random_reals<T>(s.channels, 23)),
        running_var(random_reals<T>(s.channels, 24, 0.1, 3)),
        mean(gamma.size()),
        invstd(gamma.size()) {}

  std::vector<T> train(const std::vector<T>& x) {
    std::vector<T> y(x.size());
    batch_norm_forward_train(x.data(), size.rows, size.channels, gamma.data(), beta.data(), kEps, kMomentum,
                             running_mean.data(), running_var.data(), mean.data(), invstd.data(), y.data());
    return y;
  }

  std::vector<T> eval(const std::vector<T>& x) const {
    std::vector<T> y(x.size());
    batch_norm_forward_eval(x.data(), size.rows, size.channels, gamma.data(), beta.data(), running_mean.data(),
                            running_var.data(), kEps, y.data());
    return y;
  }

  Size size;
  std::vector<T> gamma, beta, running_mean, running_var, mean, invstd;
};

struct Moments {
  std::vector<double> mean, var;
};

template <typename T>
Moments moments_of(const std::vector<T>& x, Size s) {
  const auto channels = static_cast<std::size_t>(s.channels);
  Moments m{std::vector<double>(channels), std::vector<double>(channels)};
  const auto rows = static_cast<double>(s.rows);
  for (std::size_t i = 0; i < x.size(); ++i) {
    m.mean[i % channels] += static_cast<double>(x[i]) / rows;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    m.var[i % channels] += std::pow(static_cast<double>(x[i]) - m.mean[i % channels], 2) / rows;
  }
  return m;
}

template <typename T>
void check_train(double tolerance) {
  for (const Size s : kSizes) {
    SCOPED_TRACE(describe(s));
    const std::vector<T> x = random_reals<T>(s.rows * s.channels, 25, -1, 3);
    Layer<T> layer(s);
    const Layer<T> before = layer;
    const std::vector<T> y = layer.train(x);
    const Moments m = moments_of(x, s);
    const auto channels = static_cast<std::size_t>(s.channels);
    const auto rows = static_cast<double>(s.rows);
    std::vector<double> expected;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const std::size_t c = i % channels;
      expected.push_back((static_cast<double>(x[i]) - m.mean[c]) / std::sqrt(m.var[c] + kEps) *
                             static_cast<double>(before.gamma[c]) +
                         static_cast<double>(before.beta[c]));
    }
    testing::expect_close("y", y, expected, tolerance);
    testing::expect_close("mean", layer.mean, m.mean, tolerance);
    std::vector<double> running_mean;
    std::vector<double> running_var;
    for (std::size_t c = 0; c < channels; ++c) {
      running_mean.push_back(0.9 * static_cast<double>(before.running_mean[c]) + 0.1 * m.mean[c]);
      running_var.push_back(0.9 * static_cast<double>(before.running_var[c]) + 0.1 * m.var[c] * rows / (rows - 1));
    }
    testing::expect_close("running mean", layer.running_mean, running_mean, tolerance);
    testing::expect_close("running var", layer.running_var, running_var, tolerance);

    std::vector<T> mean(channels);
    std::vector<T> var(channels);
    batch_norm_statistics(x.data(), s.rows, s.channels, mean.data(), var.data());
    testing::expect_close("statistics: mean", mean, m.mean, tolerance);
    testing::expect_close("statistics: var", var, m.var, tolerance);
    std::vector<T> moved_mean = before.running_mean;
    std::vector<T> moved_var = before.running_var;
    batch_norm_update_running(mean.data(), var.data(), s.rows, s.channels, kMomentum, moved_mean.data(),
                              moved_var.data());
    testing::expect_close("update: mean", moved_mean, running_mean, tolerance);
    testing::expect_close("update: var", moved_var, running_var, tolerance);
  }
}

TEST(BatchNorm, TrainNormalizesAndMovesTheAverages) {
  check_train<float>(3e-6);
  check_train<double>(1e-12);
}

TEST(BatchNorm, EvalUsesTheRunningStatistics) {
  const Size s{300, 17};
  const Layer<double> layer(s);
  const std::vector<double> x = random_reals<double>(s.rows * s.channels, 26);
  std::vector<double> expected;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t c = i % 17;
    expected.push_back((x[i] - layer.running_mean[c]) / std::sqrt(layer.running_var[c] + kEps) * layer.gamma[c] +
                       layer.beta[c]);
  }
  testing::expect_close("y", layer.eval(x), expected, 1e-14);
}

TEST(BatchNorm, VarianceSurvivesALargeMean) {
  const Size s{40000, 2};
  std::vector<float> x;
  for (std::int64_t i = 0; i < s.rows; ++i) {
    x.push_back(i % 2 == 0 ? 10000.5F : 9999.5F);  // variance 1/4
    x.push_back(i % 2 == 0 ? 3.0F : -3.0F);
  }
  std::vector<float> mean(2);
  std::vector<float> var(2);
  batch_norm_statistics(x.data(), s.rows, s.channels, mean.data(), var.data());
  EXPECT_EQ(mean, (std::vector<float>{10000.0F, 0.0F}));
  EXPECT_EQ(var, (std::vector<float>{0.25F, 9.0F}));
}

TEST(BatchNorm, GradientsOfTrainAgreeWithDifferences) {
  for (const Size s : {Size{2, 3}, Size{9, 4}, Size{33, 1}}) {
    SCOPED_TRACE(describe(s));
    Layer<double> layer(s);
    std::vector<double> x = random_reals<double>(s.rows * s.channels, 27);
    const std::vector<double> dy = random_reals<double>(s.rows * s.channels, 28);
    layer.train(x);
    std::vector<double> dx(x.size(), 99);
    std::vector<double> dgamma(layer.gamma.size(), 99);
    std::vector<double> dbeta(layer.beta.size(), 99);
    batch_norm_backward_train(dy.data(), x.data(), s.rows, s.channels, layer.gamma.data(), layer.mean.data(),
                              layer.invstd.data(), dx.data(), dgamma.data(), dbeta.data());
    Layer<double> probe = layer;
    const auto loss = [&] { return testing::dot(probe.train(x), dy); };
    testing::expect_gradient("dx", &x, dx, loss);
    testing::expect_gradient("dgamma", &probe.gamma, dgamma, loss);
    testing::expect_gradient("dbeta", &probe.beta, dbeta, loss);
    std::vector<double> in_place = dy;
    batch_norm_backward_train<double>(in_place.data(), x.data(), s.rows, s.channels, layer.gamma.data(),
                                      layer.mean.data(), layer.invstd.data(), in_place.data(), nullptr, nullptr);
    testing::expect_same_bits("dx in place of dy", in_place, dx);
  }
}

TEST(BatchNorm, GradientsOfEvalAgreeWithDifferences) {
  const Size s{11, 5};
  Layer<double> layer(s);
  std::vector<double> x = random_reals<double>(s.rows * s.channels, 29);
  const std::vector<double> dy = random_reals<double>(s.rows * s.channels, 30);
  std::vector<double> dx(x.size(), 99);
  std::vector<double> dgamma(layer.gamma.size(), 99);
  std::vector<double> dbeta(layer.beta.size(), 99);
  batch_norm_backward_eval(dy.data(), x.data(), s.rows, s.channels, layer.gamma.data(), layer.running_mean.data(),
                           layer.running_var.data(), kEps, dx.data(), dgamma.data(), dbeta.data());
  const auto loss = [&] { return testing::dot(layer.eval(x), dy); };
  testing::expect_gradient("dx", &x, dx, loss);
  testing::expect_gradient("dgamma", &layer.gamma, dgamma, loss);
  testing::expect_gradient("dbeta", &layer.beta, dbeta, loss);
}

TEST(BatchNorm, FloatGradientsAgreeWithDouble) {
  const Size s{6000, 24};
  Layer<float> layer(s);
  Layer<double> wide(s);
  const std::vector<float> x = random_reals<float>(s.rows * s.channels, 31);
  const std::vector<float> dy = random_reals<float>(s.rows * s.channels, 32);
  const std::vector<double> wide_x(x.begin(), x.end());
  const std::vector<double> wide_dy(dy.begin(), dy.end());
  layer.train(x);
  wide.train(wide_x);
  std::vector<float> dx(x.size());
  std::vector<float> dgamma(layer.gamma.size());
  std::vector<double> wide_dx(x.size());
  std::vector<double> wide_dgamma(layer.gamma.size());
  batch_norm_backward_train<float>(dy.data(), x.data(), s.rows, s.channels, layer.gamma.data(), layer.mean.data(),
                                   layer.invstd.data(), dx.data(), dgamma.data(), nullptr);
  batch_norm_backward_train<double>(wide_dy.data(), wide_x.data(), s.rows, s.channels, wide.gamma.data(),
                                    wide.mean.data(), wide.invstd.data(), wide_dx.data(), wide_dgamma.data(), nullptr);
  testing::expect_close("dx", dx, wide_dx, 5e-6);
  testing::expect_close("dgamma", dgamma, wide_dgamma, 5e-6);
}

TEST(BatchNorm, WithoutGammaAndBetaTheyAreOneAndZero) {
  const Size s{50, 6};
  Layer<float> with(s);
  with.gamma.assign(6, 1.0F);
  with.beta.assign(6, 0.0F);
  const std::vector<float> x = random_reals<float>(s.rows * s.channels, 33);
  const std::vector<float> expected = with.train(x);
  std::vector<float> y(x.size());
  std::vector<float> mean(6);
  std::vector<float> invstd(6);
  batch_norm_forward_train<float>(x.data(), s.rows, s.channels, nullptr, nullptr, kEps, kMomentum, nullptr, nullptr,
                                  mean.data(), invstd.data(), y.data());
  testing::expect_same_bits("y", y, expected);
  std::vector<float> dx(x.size());
  std::vector<float> expected_dx(x.size());
  batch_norm_backward_train<float>(x.data(), x.data(), s.rows, s.channels, nullptr, mean.data(), invstd.data(),
                                   dx.data(), nullptr, nullptr);
  batch_norm_backward_train<float>(x.data(), x.data(), s.rows, s.channels, with.gamma.data(), mean.data(),
                                   invstd.data(), expected_dx.data(), nullptr, nullptr);
  testing::expect_same_bits("dx", dx, expected_dx);
}

TEST(BatchNorm, OneRowHasNoVariance) {
  Layer<float> layer({1, 4});
  EXPECT_THAT(error_of([&] { layer.train(std::vector<float>(4)); }),
              HasSubstr("at least 2 rows a channel to train on, got 1"));
}

TEST(BatchNorm, SameBitsOnAnyNumberOfThreads) {
  const Size s{30011, 20};
  const std::vector<float> x = random_reals<float>(s.rows * s.channels, 34, 5, 7);
  testing::expect_same_on_threads<float>("train", [&] {
    Layer<float> layer(s);
    std::vector<float> y = layer.train(x);
    y.insert(y.end(), layer.running_var.begin(), layer.running_var.end());
    std::vector<float> dgamma(layer.gamma.size());
    std::vector<float> dx(x.size());
    batch_norm_backward_train<float>(y.data(), x.data(), s.rows, s.channels, layer.gamma.data(), layer.mean.data(),
                                     layer.invstd.data(), dx.data(), dgamma.data(), nullptr);
    y.insert(y.end(), dx.begin(), dx.end());
    y.insert(y.end(), dgamma.begin(), dgamma.end());
    return y;
  });
}

}  // namespace
}  // namespace detent::kernels
