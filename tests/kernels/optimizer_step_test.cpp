#include "detent/kernels/optimizer/optimizer_step.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace detent::kernels::optimizer_step_test {
namespace {

constexpr std::int64_t kElements = 37;  // no multiple of a vector

/// A parameter whose gradient is 1e-3 for one step, and 0 from then on, as of a channel that has died.
struct Dying {
  std::vector<float> gradient = std::vector<float>(kElements, 1e-3F);
  std::vector<float> value = std::vector<float>(kElements, 0.5F);
  std::vector<float> mean = std::vector<float>(kElements, 0.0F);
  std::vector<float> square = std::vector<float>(kElements, 0.0F);

  template <typename Step>
  void run(int steps, Step&& step) {
    for (int t = 1; t <= steps; ++t) {
      step(t);
      gradient.assign(kElements, 0.0F);
      for (std::int64_t i = 0; i < kElements; ++i) {
        ASSERT_NE(std::fpclassify(mean[i]), FP_SUBNORMAL) << "step " << t << ", element " << i;
        ASSERT_NE(std::fpclassify(square[i]), FP_SUBNORMAL) << "step " << t << ", element " << i;
      }
    }
    EXPECT_EQ(mean, std::vector<float>(kElements, 0.0F));
    EXPECT_EQ(square, std::vector<float>(kElements, 0.0F));
  }
};

TEST(OptimizerStep, MeansOfAdamThatHaveDiedAre0) {
  constexpr float kBeta1 = 0.9F, kBeta2 = 0.98F;
  const AdamStep step{.beta1 = kBeta1,
                      .one_minus_beta1 = 1.0F - kBeta1,
                      .beta2 = kBeta2,
                      .one_minus_beta2 = 1.0F - kBeta2,
                      .step_size = 1e-3F};
  Dying dying;
  double value = 0.5, mean = 0.0, square = 0.0;
  dying.run(5000, [&](int t) {
    adam_step(step, kElements, dying.gradient.data(), dying.value.data(), dying.mean.data(), dying.square.data());
    const double g = t == 1 ? 1e-3 : 0.0;
    mean = kBeta1 * mean + (1.0 - kBeta1) * g;
    square = kBeta2 * square + (1.0 - kBeta2) * g * g;
    value -= 1e-3 * mean / (std::sqrt(square) + 1e-8);
  });
  for (const float x : dying.value) {
    EXPECT_NEAR(x, value, 1e-6) << "as of means that go on forever";
  }
}

TEST(OptimizerStep, AMomentumThatHasDiedIs0) {
  for (const bool nesterov : {false, true}) {
    Dying dying;
    dying.run(3000, [&](int t) {
      const SgdStep step{.learning_rate = 0.1F, .momentum = 0.9F, .nesterov = nesterov, .first = t == 1};
      sgd_step(step, kElements, dying.gradient.data(), dying.value.data(), dying.mean.data());
    });
    for (const float x : dying.value) {
      EXPECT_NEAR(x, 0.5 - 0.1 * 1e-3 / (1.0 - 0.9), 1e-6) << "the sum of a series that goes on forever";
    }
  }
}

TEST(OptimizerStep, MeansThatAreNoNumbersStayNone) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> gradient(kElements, nan), value(kElements, 1.0F), m(kElements, 0.0F), v(kElements, 0.0F);
  adam_step({.step_size = 1e-3F}, kElements, gradient.data(), value.data(), m.data(), v.data());
  EXPECT_TRUE(std::isnan(m.back()) && std::isnan(v.back()) && std::isnan(value.back()));
  sgd_step({.learning_rate = 0.1F, .momentum = 0.9F}, kElements, gradient.data(), value.data(), m.data());
  EXPECT_TRUE(std::isnan(m.front()));
}

}  // namespace
}  // namespace detent::kernels::optimizer_step_test
