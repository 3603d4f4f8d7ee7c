#include "detent/kernels/layers/loss.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kernels/pointwise.h"

namespace detent::kernels::loss_test {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::random_reals;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<std::int32_t> random_labels(std::int64_t rows, std::int64_t classes, std::uint64_t seed) {
  std::vector<std::int32_t> labels;
  for (const std::uint8_t v : testing::random_bytes(rows, seed, static_cast<std::uint32_t>(classes))) {
    labels.push_back(v);
  }
  return labels;
}

double reference_cross_entropy(const std::vector<double>& x, const std::vector<std::int32_t>& labels,
                               std::int64_t classes, double smoothing) {
  const auto c = static_cast<std::size_t>(classes);
  double loss = 0;
  for (std::size_t r = 0; r < labels.size(); ++r) {
    double sum = 0;
    for (std::size_t i = 0; i < c; ++i) {
      sum += std::exp(x[r * c + i]);
    }
    for (std::size_t i = 0; i < c; ++i) {
      const double one_hot = static_cast<std::size_t>(labels[r]) == i ? 1 : 0;
      const double target = (1 - smoothing) * one_hot + smoothing / static_cast<double>(classes);
      loss -= target * (x[r * c + i] - std::log(sum));
    }
  }
  return loss / static_cast<double>(labels.size());
}

struct Size {
  std::int64_t rows, classes;
};
const std::vector<Size> kSizes{{1, 1}, {1, 2}, {3, 10}, {128, 10}, {700, 100}, {5000, 7}};

TEST(CrossEntropy, IsTheFormulaAndItsGradientAgreesWithDifferences) {
  for (const Size s : kSizes) {
    for (const double smoothing : {0.0, 0.1, 1.0}) {
      SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.classes) + ", smoothing " +
                   std::to_string(smoothing));
      std::vector<double> x = random_reals<double>(s.rows * s.classes, 41, -5, 5);
      const std::vector<std::int32_t> labels = random_labels(s.rows, s.classes, 42);
      std::vector<double> p(x.size());
      const auto loss = [&] {
        return cross_entropy_forward(x.data(), labels.data(), s.rows, s.classes, smoothing, p.data());
      };
      EXPECT_NEAR(loss(), reference_cross_entropy(x, labels, s.classes, smoothing), 1e-12);
      std::vector<double> dx(x.size(), 99);
      cross_entropy_backward(p.data(), labels.data(), s.rows, s.classes, smoothing, 1.5, dx.data());
      if (x.size() <= 1280) {
        testing::expect_gradient("dlogits", &x, dx, [&] { return 1.5 * loss(); });
      }
      const std::vector<float> narrow(x.begin(), x.end());
      const std::vector<double> of_narrow(narrow.begin(), narrow.end());
      std::vector<float> narrow_p(x.size());
      EXPECT_NEAR(cross_entropy_forward(narrow.data(), labels.data(), s.rows, s.classes, smoothing, narrow_p.data()),
                  reference_cross_entropy(of_narrow, labels, s.classes, smoothing), 1e-12);
      std::vector<float> narrow_dx(x.size());
      cross_entropy_backward(narrow_p.data(), labels.data(), s.rows, s.classes, smoothing, 1.5, narrow_dx.data());
      testing::expect_close("f32 dlogits", narrow_dx, dx, 1e-6);
    }
  }
}

TEST(CrossEntropy, LargeLogitsDoNotOverflow) {
  const std::vector<float> x{1e4F, -1e4F, 0, 3e38F, 3e38F, -3e38F};
  std::vector<float> p(6);
  const std::vector<std::int32_t> labels{0, 1};
  EXPECT_NEAR(cross_entropy_forward(x.data(), labels.data(), 2, 3, 0.0, p.data()), std::log(2.0) / 2, 1e-12);
  EXPECT_EQ(p, (std::vector<float>{1, 0, 0, 0.5F, 0.5F, 0}));
  const std::vector<std::int32_t> wrong{1, 0};
  EXPECT_NEAR(cross_entropy_forward(x.data(), wrong.data(), 2, 3, 0.0, p.data()), (2e4 + std::log(2.0)) / 2, 1e-9);
}

TEST(CrossEntropy, NaNIsNotHidden) {
  const std::vector<float> x{0, kNaN};
  std::vector<float> p(2);
  const std::int32_t label = 0;
  EXPECT_TRUE(std::isnan(cross_entropy_forward(x.data(), &label, 1, 2, 0.0, p.data())));
}

TEST(CrossEntropy, RefusesLabelsAndSmoothingOutOfRange) {
  const std::vector<float> x(20);
  std::vector<float> p(20);
  const auto error = [&](std::vector<std::int32_t> labels, double smoothing) {
    return error_of([&] { cross_entropy_forward(x.data(), labels.data(), 2, 10, smoothing, p.data()); });
  };
  EXPECT_EQ(error({0, 9}, 0.0), "");
  EXPECT_THAT(error({0, 10}, 0.0), HasSubstr("expected a class in [0, 10), got 10 in row 1"));
  EXPECT_THAT(error({-1, 0}, 0.0), HasSubstr("got -1 in row 0"));
  EXPECT_THAT(error({0, 0}, 1.5), HasSubstr("smoothing in [0, 1], got 1.5"));
  EXPECT_THAT(error_of([&] { cross_entropy_forward(x.data(), nullptr, 0, 10, 0.0, p.data()); }),
              HasSubstr("at least one row"));
  const std::int32_t ten = 10;
  EXPECT_THAT(error_of([&] { squared_hinge_forward(x.data(), &ten, 1, 10); }), HasSubstr("got 10 in row 0"));
}

// T^2 KL(q || p) by hand: q = (3/4, 1/4), p = (1/2, 1/2) at every temperature.
TEST(Distillation, OfTwoClassesByHand) {
  for (const double t : {0.5, 1.0, 4.0}) {
    const std::vector<double> logits{7, 7};
    const std::vector<double> target{t * std::log(3.0) - 2, -2};
    std::vector<double> p(2), q(2);
    EXPECT_NEAR(distillation_forward(logits.data(), target.data(), 1, 2, t, p.data(), q.data()),
                t * t * (0.75 * std::log(1.5) + 0.25 * std::log(0.5)), 1e-14);
    EXPECT_NEAR(p[0], 0.5, 1e-15);
    EXPECT_NEAR(q[0], 0.75, 1e-15);
    std::vector<double> dx(2, 99);
    distillation_backward(p.data(), q.data(), 1, 2, t, 2.0, dx.data());
    EXPECT_NEAR(dx[0], -0.5 * t, 1e-14);
    EXPECT_NEAR(dx[1], 0.5 * t, 1e-14);
  }
}

TEST(Distillation, IsTheFormulaAndItsGradientAgreesWithDifferences) {
  for (const Size s : kSizes) {
    for (const double temperature : {0.7, 1.0, 4.0}) {
      SCOPED_TRACE(std::to_string(s.rows) + " x " + std::to_string(s.classes) + ", T " + std::to_string(temperature));
      std::vector<double> x = random_reals<double>(s.rows * s.classes, 51, -5, 5);
      const std::vector<double> target = random_reals<double>(s.rows * s.classes, 52, -5, 5);
      std::vector<double> p(x.size()), q(x.size());
      const auto loss = [&] {
        return distillation_forward(x.data(), target.data(), s.rows, s.classes, temperature, p.data(), q.data());
      };
      const double value = loss();
      double expected = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        expected += q[i] * std::log(q[i] / p[i]);
      }
      EXPECT_NEAR(value, temperature * temperature * expected / static_cast<double>(s.rows), 1e-11);
      std::vector<double> dx(x.size(), 99);
      distillation_backward(p.data(), q.data(), s.rows, s.classes, temperature, 0.5, dx.data());
      if (x.size() <= 1280) {
        testing::expect_gradient("dlogits", &x, dx, [&] { return 0.5 * loss(); });
      }
    }
  }
}

TEST(Distillation, OfTheTargetItselfIsZeroAndLargeLogitsDoNotOverflow) {
  const std::vector<double> target{1e4, -1e4, 0};
  const std::vector<double> shifted{1e4 + 5, -1e4 + 5, 5};
  const std::vector<double> other{-1e4, 1e4, 0};
  std::vector<double> p(3), q(3);
  EXPECT_EQ(distillation_forward(target.data(), target.data(), 1, 3, 2.0, p.data(), q.data()), 0);
  EXPECT_EQ(distillation_forward(shifted.data(), target.data(), 1, 3, 2.0, p.data(), q.data()), 0);
  EXPECT_EQ(distillation_forward(other.data(), target.data(), 1, 3, 2.0, p.data(), q.data()), 4 * 1e4);
}

TEST(Distillation, RefusesWhatHasNoMeaning) {
  double x = 0, p = 0, q = 0;
  for (const double temperature : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::nan("")}) {
    EXPECT_THAT(error_of([&] { distillation_forward(&x, &x, 1, 1, temperature, &p, &q); }),
                HasSubstr("distillation: expected a temperature > 0"));
  }
  EXPECT_THAT(error_of([&] { distillation_forward(&x, &x, 0, 1, 1.0, &p, &q); }), HasSubstr("at least one row"));
}

TEST(MeanSquaredError, IsTheFormulaAndItsGradientAgreesWithDifferences) {
  std::vector<double> x = random_reals<double>(300, 43);
  const std::vector<double> target = random_reals<double>(300, 44);
  double expected = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    expected += (x[i] - target[i]) * (x[i] - target[i]) / 300;
  }
  const auto loss = [&] { return mean_squared_error_forward(x.data(), target.data(), 300); };
  EXPECT_NEAR(loss(), expected, 1e-14);
  std::vector<double> dx(x.size(), 99);
  mean_squared_error_backward(x.data(), target.data(), 300, 2.0, dx.data());
  testing::expect_gradient("dprediction", &x, dx, [&] { return 2 * loss(); });
  EXPECT_THAT(error_of([&] { mean_squared_error_forward(x.data(), target.data(), 0); }), HasSubstr("got 0"));
}

TEST(SquaredHinge, IsTheFormulaAndItsGradientAgreesWithDifferences) {
  for (const Size s : {Size{1, 1}, Size{5, 10}, Size{64, 3}}) {
    std::vector<double> x = random_reals<double>(s.rows * s.classes, 45, -2, 2);
    const std::vector<std::int32_t> labels = random_labels(s.rows, s.classes, 46);
    double expected = 0;
    for (std::int64_t i = 0; i < s.rows * s.classes; ++i) {
      const double t = labels[static_cast<std::size_t>(i / s.classes)] == i % s.classes ? 1 : -1;
      expected += std::pow(std::max(0.0, 1 - x[static_cast<std::size_t>(i)] * t), 2);
    }
    const auto loss = [&] { return squared_hinge_forward(x.data(), labels.data(), s.rows, s.classes); };
    EXPECT_NEAR(loss(), expected / static_cast<double>(s.rows * s.classes), 1e-13);
    std::vector<double> dx(x.size(), 99);
    squared_hinge_backward(x.data(), labels.data(), s.rows, s.classes, 0.5, dx.data());
    testing::expect_gradient("dprediction", &x, dx, [&] { return 0.5 * loss(); });
  }
}

TEST(Argmax, TakesTheFirstOfEqualValuesAndNeverNaN) {
  const std::vector<float> x{1, 3, 3, 2, kNaN, 5, kNaN, kNaN, kNaN, -1, -1, -2};
  std::vector<std::int32_t> classes(4, 9);
  argmax_rows(x.data(), 4, 3, classes.data());
  EXPECT_EQ(classes, (std::vector<std::int32_t>{1, 2, 0, 0}));
  const std::vector<std::uint8_t> codes{0, 255, 255, 7, 6, 5};
  argmax_rows(codes.data(), 2, 3, classes.data());
  EXPECT_EQ(classes[0], 1);
  EXPECT_EQ(classes[1], 0);
  const std::vector<std::int32_t> labels{1, 2, 1, 0};
  EXPECT_EQ(count_correct(x.data(), labels.data(), 4, 3), 3);
  EXPECT_EQ(count_correct(codes.data(), labels.data(), 2, 3), 1);
  EXPECT_EQ(count_correct(x.data(), labels.data(), 0, 3), 0);
}

TEST(Losses, SameBitsOnAnyNumberOfThreads) {
  const std::int64_t rows = 20001;
  const std::vector<float> x = random_reals<float>(rows * 10, 47, -9, 9);
  const std::vector<float> target = random_reals<float>(rows * 10, 48);
  const std::vector<std::int32_t> labels = random_labels(rows, 10, 49);
  std::vector<float> p(x.size()), q(x.size());
  testing::expect_same_on_threads<double>("losses", [&] {
    return std::vector<double>{distillation_forward(x.data(), target.data(), rows, 10, 3.0, p.data(), q.data()),
                               cross_entropy_forward(x.data(), labels.data(), rows, 10, 0.1, p.data()),
                               mean_squared_error_forward(x.data(), target.data(), rows * 10),
                               squared_hinge_forward(x.data(), labels.data(), rows, 10)};
  });
}

}  // namespace
}  // namespace detent::kernels::loss_test
