#include "detent/kernels/layers/activation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kernels/pointwise.h"

namespace detent::kernels::activation_test {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kSlope = 0.125;

const std::vector<Activation> kAll{Activation::Relu,      Activation::Relu6, Activation::LeakyRelu,
                                   Activation::Sigmoid,   Activation::Tanh,  Activation::Gelu,
                                   Activation::HardSwish, Activation::Silu,  Activation::Sign};

double reference(Activation kind, double x) {
  switch (kind) {
    case Activation::Relu:
      return std::max(x, 0.0);
    case Activation::Relu6:
      return std::min(std::max(x, 0.0), 6.0);
    case Activation::LeakyRelu:
      return x > 0 ? x : kSlope * x;
    case Activation::Sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::Tanh:
      return std::tanh(x);
    case Activation::Gelu:
      return x * std::erfc(-x / std::sqrt(2.0)) / 2;
    case Activation::HardSwish:
      return x * std::min(std::max(x + 3, 0.0), 6.0) / 6;
    case Activation::Silu:
      return x / (1 + std::exp(-x));
    case Activation::Sign:
      return x >= 0 ? 1 : -1;
  }
  return 0;
}

template <typename T>
std::vector<T> forward(Activation kind, const std::vector<T>& x) {
  std::vector<T> y(x.size());
  activation_forward(kind, static_cast<std::int64_t>(x.size()), x.data(), y.data(), kSlope);
  return y;
}

template <typename T>
std::vector<T> backward(Activation kind, const std::vector<T>& x, const std::vector<T>& dy) {
  const std::vector<T> saved = gradient_uses_output(kind) ? forward(kind, x) : x;
  std::vector<T> dx(x.size());
  activation_backward(kind, static_cast<std::int64_t>(x.size()), saved.data(), dy.data(), dx.data(), kSlope);
  return dx;
}

TEST(ActivationTest, NamesGoBothWays) {
  for (const Activation kind : kAll) {
    EXPECT_EQ(activation_from_name(name_of(kind)), kind) << name_of(kind);
  }
  EXPECT_EQ(name_of(Activation::HardSwish), "hard_swish");
  EXPECT_THAT(error_of([] { activation_from_name("swish"); }), HasSubstr("silu, sign, got 'swish'"));
}

TEST(ActivationTest, ForwardIsTheFormula) {
  for (const Activation kind : kAll) {
    SCOPED_TRACE(name_of(kind));
    for (const std::int64_t n : {1, 17, 70001}) {
      const std::vector<double> x = testing::random_reals<double>(n, 1, -12, 12);
      std::vector<double> expected;
      for (const double v : x) {
        expected.push_back(reference(kind, v));
      }
      testing::expect_close("f64", forward(kind, x), expected, 1e-14);
      const std::vector<float> narrow(x.begin(), x.end());
      std::vector<double> of_narrow;
      for (const float v : narrow) {
        of_narrow.push_back(reference(kind, static_cast<double>(v)));
      }
      testing::expect_close("f32", forward(kind, narrow), of_narrow, 1e-6);
    }
  }
}

TEST(ActivationTest, GradientAgreesWithDifferencesOffTheKinks) {
  for (const Activation kind : kAll) {
    if (kind == Activation::Sign) {
      continue;  // straight through: pinned below
    }
    std::vector<double> x = testing::random_reals<double>(200, 2, -8, 8);
    for (double& v : x) {
      for (const double kink : {-3.0, 0.0, 3.0, 6.0}) {
        v = std::abs(v - kink) < 1e-3 ? kink + 0.01 : v;
      }
    }
    const std::vector<double> dy = testing::random_reals<double>(200, 3);
    const std::vector<double> dx = backward(kind, x, dy);
    testing::expect_gradient(std::string(name_of(kind)), &x, dx, [&] { return testing::dot(forward(kind, x), dy); });
    const std::vector<float> narrow(x.begin(), x.end());
    const std::vector<float> narrow_dy(dy.begin(), dy.end());
    testing::expect_close("f32 " + std::string(name_of(kind)), backward(kind, narrow, narrow_dy), dx, 3e-6);
  }
}

TEST(ActivationTest, GradientsAtTheKinksArePinned) {
  const auto at = [](Activation kind, double x) {
    return backward(kind, std::vector<double>{x}, std::vector<double>{2.0})[0];
  };
  EXPECT_EQ(at(Activation::Relu, 0.0), 0);
  EXPECT_EQ(at(Activation::Relu6, 0.0), 0);
  EXPECT_EQ(at(Activation::Relu6, 6.0), 0);
  EXPECT_EQ(at(Activation::LeakyRelu, 0.0), 2 * kSlope);
  EXPECT_EQ(at(Activation::HardSwish, -3.0), 0);
  EXPECT_EQ(at(Activation::HardSwish, 3.0), 2);
  for (const double inside : {-1.0, -0.3, 0.0, 1.0}) {
    EXPECT_EQ(at(Activation::Sign, inside), 2) << inside;
  }
  for (const double outside : {-1.001, 1.001, 7.0}) {
    EXPECT_EQ(at(Activation::Sign, outside), 0) << outside;
  }
}

TEST(ActivationTest, ExtremesDoNotOverflowAndNaNStays) {
  const auto at = [](Activation kind, double x) { return forward(kind, std::vector<double>{x})[0]; };
  EXPECT_EQ(at(Activation::Sigmoid, 1e4), 1);
  EXPECT_EQ(at(Activation::Sigmoid, -1e4), 0);
  EXPECT_EQ(at(Activation::Tanh, 1e4), 1);
  EXPECT_EQ(at(Activation::Tanh, -kInfinity), -1);
  EXPECT_EQ(at(Activation::Gelu, 50), 50);
  EXPECT_EQ(at(Activation::Gelu, -50), 0);
  EXPECT_EQ(at(Activation::Relu, kInfinity), kInfinity);
  EXPECT_EQ(at(Activation::Relu6, kInfinity), 6);
  EXPECT_EQ(at(Activation::Sign, -0.0), 1);
  EXPECT_EQ(at(Activation::Sign, -kInfinity), -1);
  for (const Activation kind : kAll) {
    EXPECT_TRUE(std::isnan(at(kind, std::numeric_limits<double>::quiet_NaN()))) << name_of(kind);
  }
}

TEST(ActivationTest, InPlace) {
  for (const Activation kind : kAll) {
    const std::vector<float> x = testing::random_reals<float>(1000, 4, -7, 7);
    const std::vector<float> dy = testing::random_reals<float>(1000, 5);
    std::vector<float> y = x;
    activation_forward(kind, 1000, y.data(), y.data(), kSlope);
    testing::expect_same_bits(std::string(name_of(kind)), y, forward(kind, x));
    std::vector<float> dx = dy;
    const std::vector<float> saved = gradient_uses_output(kind) ? y : x;
    activation_backward(kind, 1000, saved.data(), dx.data(), dx.data(), kSlope);
    testing::expect_same_bits("gradient of " + std::string(name_of(kind)), dx, backward(kind, x, dy));
  }
}

TEST(ActivationTest, SameBitsOnAnyNumberOfThreads) {
  const std::vector<float> x = testing::random_reals<float>(300007, 6, -7, 7);
  for (const Activation kind : kAll) {
    testing::expect_same_on_threads<float>(std::string(name_of(kind)), [&] { return forward(kind, x); });
  }
}

}  // namespace
}  // namespace detent::kernels::activation_test
