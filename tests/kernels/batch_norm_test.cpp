#include "detent/kernels/layers/batch_norm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "detent/core/dtype.h"
#include "tests/kernels/pointwise.h"

namespace detent::kernels::batch_norm_test {
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
  explicit Layer(Size s, bool does_relu = false)
      : size(s),
        relu(does_relu),
        gamma(random_reals<T>(s.channels, 21, 0.5, 2)),
        beta(random_reals<T>(s.channels, 22)),
        running_mean(random_reals<T>(s.channels, 23)),
        running_var(random_reals<T>(s.channels, 24, 0.1, 3)),
        mean(gamma.size()),
        invstd(gamma.size()) {}

  template <typename X>
  std::vector<X> train(const std::vector<X>& x) {
    std::vector<X> y(x.size());
    batch_norm_forward_train(x.data(), size.rows, size.channels, gamma.data(), beta.data(), kEps, kMomentum, relu,
                             running_mean.data(), running_var.data(), mean.data(), invstd.data(), y.data());
    return y;
  }

  template <typename X>
  std::vector<X> eval(const std::vector<X>& x) const {
    std::vector<X> y(x.size());
    batch_norm_forward_eval(x.data(), size.rows, size.channels, gamma.data(), beta.data(), running_mean.data(),
                            running_var.data(), kEps, relu, y.data());
    return y;
  }

  Size size;
  bool relu;
  std::vector<T> gamma, beta, running_mean, running_var, mean, invstd;
};

// All gradients at once; those that are null are not wanted. dx may be dy.
template <typename X, typename T>
void backward_train(const X* dy, const X* x, std::int64_t rows, std::int64_t channels, const T* gamma, const T* beta,
                    const T* mean, const T* invstd, bool relu, X* dx, T* dgamma, T* dbeta) {
  const auto gradient =
      batch_norm_backward_train(dy, x, rows, channels, gamma, beta, mean, invstd, relu, dgamma, dbeta);
  batch_norm_input_gradient(gradient, dy, x, rows, dx);
}

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
  for (const Size s : {Size{2, 3}, Size{9, 4}, Size{33, 1}, Size{5, 21}, Size{6, 50}}) {
    for (const bool relu : {false, true}) {
      SCOPED_TRACE(describe(s) + (relu ? ", ReLU" : ""));
      Layer<double> layer(s, relu);
      std::vector<double> x = random_reals<double>(s.rows * s.channels, 27);
      const std::vector<double> dy = random_reals<double>(s.rows * s.channels, 28);
      layer.train(x);
      std::vector<double> dx(x.size(), 99);
      std::vector<double> dgamma(layer.gamma.size(), 99);
      std::vector<double> dbeta(layer.beta.size(), 99);
      backward_train(dy.data(), x.data(), s.rows, s.channels, layer.gamma.data(), layer.beta.data(), layer.mean.data(),
                     layer.invstd.data(), layer.relu, dx.data(), dgamma.data(), dbeta.data());
      Layer<double> probe = layer;
      const auto loss = [&] { return testing::dot(probe.train(x), dy); };
      testing::expect_gradient("dx", &x, dx, loss);
      testing::expect_gradient("dgamma", &probe.gamma, dgamma, loss);
      testing::expect_gradient("dbeta", &probe.beta, dbeta, loss);
      std::vector<double> in_place = dy;
      backward_train<double, double>(in_place.data(), x.data(), s.rows, s.channels, layer.gamma.data(),
                                     layer.beta.data(), layer.mean.data(), layer.invstd.data(), relu, in_place.data(),
                                     nullptr, nullptr);
      testing::expect_same_bits("dx in place of dy", in_place, dx);
    }
  }
}

TEST(BatchNorm, GradientsOfEvalAgreeWithDifferences) {
  const Size s{11, 5};
  for (const bool relu : {false, true}) {
    Layer<double> layer(s, relu);
    std::vector<double> x = random_reals<double>(s.rows * s.channels, 29);
    const std::vector<double> dy = random_reals<double>(s.rows * s.channels, 30);
    std::vector<double> dx(x.size(), 99);
    std::vector<double> dgamma(layer.gamma.size(), 99);
    std::vector<double> dbeta(layer.beta.size(), 99);
    const auto gradient = batch_norm_backward_eval(dy.data(), x.data(), s.rows, s.channels, layer.gamma.data(),
                                                   layer.beta.data(), layer.running_mean.data(),
                                                   layer.running_var.data(), kEps, relu, dgamma.data(), dbeta.data());
    batch_norm_input_gradient(gradient, dy.data(), x.data(), s.rows, dx.data());
    const auto loss = [&] { return testing::dot(layer.eval(x), dy); };
    testing::expect_gradient("dx", &x, dx, loss);
    testing::expect_gradient("dgamma", &layer.gamma, dgamma, loss);
    testing::expect_gradient("dbeta", &layer.beta, dbeta, loss);
  }
}

template <typename X>
std::vector<X> rounded(const std::vector<double>& x) {
  std::vector<X> y;
  for (const double v : x) {
    y.push_back(static_cast<X>(static_cast<float>(v)));
  }
  return y;
}

template <typename X>
std::vector<double> widened(const std::vector<X>& x) {
  std::vector<double> y;
  for (const X v : x) {
    y.push_back(static_cast<double>(static_cast<float>(v)));
  }
  return y;
}

// x in X, forward and backward, against the same numbers in double. `tolerance` is that of y and dx, which are X.
template <typename X>
void check_against_double(Size s, bool relu, double tolerance) {
  SCOPED_TRACE(describe(s) + (relu ? ", ReLU" : ""));
  Layer<double> wide(s, relu);
  Layer<float> layer(s, relu);
  for (const auto member : {&Layer<double>::gamma, &Layer<double>::beta}) {
    wide.*member = widened(rounded<float>(wide.*member));
  }
  layer.gamma = rounded<float>(wide.gamma);
  layer.beta = rounded<float>(wide.beta);
  std::vector<X> x = rounded<X>(random_reals<double>(s.rows * s.channels, 31, -1, 3));
  // Numbers that are near the kink of the ReLU may lie on the other side of it: they have no gradient.
  std::vector<double> dy = widened(rounded<X>(random_reals<double>(s.rows * s.channels, 32)));
  std::vector<double> wide_y = wide.train(widened(x));
  {
    Layer<double> plain(s, false);
    plain.gamma = wide.gamma;
    plain.beta = wide.beta;
    const std::vector<double> values = plain.train(widened(x));
    for (std::size_t i = 0; i < dy.size(); ++i) {
      dy[i] = std::abs(values[i]) < 1e-4 ? 0 : dy[i];
    }
  }
  testing::expect_close("y", widened(layer.train(x)), wide_y, tolerance);
  std::vector<X> dx(x.size());
  std::vector<float> dgamma(layer.gamma.size()), dbeta(layer.gamma.size());
  std::vector<double> wide_dx(x.size()), wide_dgamma(layer.gamma.size()), wide_dbeta(layer.gamma.size());
  backward_train(rounded<X>(dy).data(), x.data(), s.rows, s.channels, layer.gamma.data(), layer.beta.data(),
                 layer.mean.data(), layer.invstd.data(), relu, dx.data(), dgamma.data(), dbeta.data());
  backward_train(dy.data(), widened(x).data(), s.rows, s.channels, wide.gamma.data(), wide.beta.data(),
                 wide.mean.data(), wide.invstd.data(), relu, wide_dx.data(), wide_dgamma.data(), wide_dbeta.data());
  testing::expect_close("dx", widened(dx), wide_dx, tolerance);
  testing::expect_close("dgamma", dgamma, wide_dgamma, 1e-5 + 1e-9 * static_cast<double>(s.rows));
  testing::expect_close("dbeta", dbeta, wide_dbeta, 1e-5);
}

TEST(BatchNorm, FloatAgreesWithDouble) {
  for (const Size s : {Size{6000, 24}, Size{7, 64}, Size{301, 1}, Size{5000, 3}, Size{1003, 50}, Size{20000, 16}}) {
    for (const bool relu : {false, true}) {
      check_against_double<float>(s, relu, 1e-5);
      check_against_double<bfloat16>(s, relu, 0x1p-8);
    }
  }
}

TEST(BatchNorm, Bf16IsF32RoundedOnce) {
  for (const Size s : {Size{9, 4}, Size{300, 17}, Size{1003, 50}}) {
    for (const bool relu : {false, true}) {
      SCOPED_TRACE(describe(s) + (relu ? ", ReLU" : ""));
      Layer<float> layer(s, relu);
      std::vector<double> numbers = random_reals<double>(s.rows * s.channels, 36);
      numbers[0] = std::numeric_limits<double>::quiet_NaN();
      numbers[1] = std::numeric_limits<double>::infinity();
      const std::vector<bfloat16> x = rounded<bfloat16>(numbers);
      const std::vector<float> wide_x = rounded<float>(widened(x));
      const std::vector<bfloat16> y = layer.eval(x);
      const std::vector<float> wide_y = layer.eval(wide_x);
      for (std::size_t i = 0; i < y.size(); ++i) {
        const auto actual = static_cast<float>(y[i]), expected = static_cast<float>(bfloat16(wide_y[i]));
        ASSERT_TRUE(actual == expected || (std::isnan(actual) && std::isnan(expected)))
            << i << ": expected " << expected << ", actual " << actual;
      }
    }
  }
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
  batch_norm_forward_train<float, float>(x.data(), s.rows, s.channels, nullptr, nullptr, kEps, kMomentum, false,
                                         nullptr, nullptr, mean.data(), invstd.data(), y.data());
  testing::expect_same_bits("y", y, expected);
  std::vector<float> dx(x.size());
  std::vector<float> expected_dx(x.size());
  backward_train<float, float>(x.data(), x.data(), s.rows, s.channels, nullptr, nullptr, mean.data(), invstd.data(),
                               true, dx.data(), nullptr, nullptr);
  backward_train<float, float>(x.data(), x.data(), s.rows, s.channels, with.gamma.data(), with.beta.data(), mean.data(),
                               invstd.data(), true, expected_dx.data(), nullptr, nullptr);
  testing::expect_same_bits("dx", dx, expected_dx);
}

TEST(BatchNorm, OneRowHasNoVariance) {
  Layer<float> layer({1, 4});
  EXPECT_THAT(error_of([&] { layer.train(std::vector<float>(4)); }),
              HasSubstr("at least 2 rows a channel to train on, got 1"));
}

template <typename X>
void check_threads() {
  const Size s{30011, 20};
  const std::vector<X> x = rounded<X>(random_reals<double>(s.rows * s.channels, 34, 5, 7));
  testing::expect_same_on_threads<float>("train", [&] {
    Layer<float> layer(s, true);
    const std::vector<X> y = layer.train(x);
    std::vector<float> dgamma(layer.gamma.size()), dbeta(layer.gamma.size());
    std::vector<X> dx(x.size());
    backward_train(y.data(), x.data(), s.rows, s.channels, layer.gamma.data(), layer.beta.data(), layer.mean.data(),
                   layer.invstd.data(), layer.relu, dx.data(), dgamma.data(), dbeta.data());
    std::vector<float> all = rounded<float>(widened(y));
    for (const std::vector<float>& part : {rounded<float>(widened(dx)), layer.running_var, dgamma, dbeta}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  });
}

TEST(BatchNorm, SameBitsOnAnyNumberOfThreads) {
  check_threads<float>();
  check_threads<bfloat16>();
}

}  // namespace
}  // namespace detent::kernels::batch_norm_test
