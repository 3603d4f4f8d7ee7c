#include "detent/kernels/codes/sign_codes.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "detent/core/philox.h"

namespace detent::kernels::sign_codes_test {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();

using Codes = std::vector<std::int8_t>;

Codes signs_of(const std::vector<float>& x) {
  Codes q(x.size());
  quantize_signs(x, q.data());
  return q;
}

Codes ternary_of(const std::vector<float>& x, float threshold) {
  Codes q(x.size());
  quantize_ternary(x, threshold, q.data());
  return q;
}

TEST(SignCodes, AreOneFromZeroOn) {
  EXPECT_EQ(signs_of({-2, -0.0F, 0, 1e-45F, -1e-45F, kInfinity, -kInfinity, kNaN, 3}),
            (Codes{-1, 1, 1, 1, -1, 1, -1, -1, 1}));
}

TEST(TernaryCodes, AreZeroUpToTheThreshold) {
  EXPECT_EQ(ternary_of({-0.6F, -0.5F, -0.0F, 0.5F, 0.51F, kInfinity, -kInfinity, kNaN}, 0.5F),
            (Codes{-1, 0, 0, 0, 1, 1, -1, -1}));
  EXPECT_EQ(ternary_of({0, -0.0F, 1e-45F}, 0), (Codes{0, 0, 1}));
}

TEST(MeanMagnitude, IsOfTheFiniteElements) {
  EXPECT_EQ(mean_magnitude(std::vector<float>{-1, 2, -3, 0}), 1.5F);
  EXPECT_EQ(mean_magnitude(std::vector<float>{-1, kNaN, -3, kInfinity, -kInfinity}), 2.0F);
  EXPECT_EQ(mean_magnitude(std::vector<float>{-1, 2, -3, 0}, 1.0F), 2.5F);
  EXPECT_EQ(mean_magnitude(std::vector<float>{}), 0.0F);
  EXPECT_EQ(mean_magnitude(std::vector<float>{kNaN}), 0.0F);
  EXPECT_EQ(mean_magnitude(std::vector<float>{1, 2}, 5.0F), 0.0F);
  EXPECT_EQ(mean_magnitude(std::vector<float>(1000, -kLargest)), kLargest);
}

TEST(MeanMagnitude, TakesEveryElementOfAnyNumber) {
  for (const std::size_t n : {1U, 15U, 16U, 17U, 33U, 1000U}) {
    RandomStream random(n, "magnitudes");
    std::vector<float> x(n);
    double sum = 0;
    for (float& v : x) {
      v = random.uniform(-1.0F, 1.0F);
      sum += std::abs(double{v});
    }
    EXPECT_FLOAT_EQ(static_cast<float>(mean_magnitude(x)), static_cast<float>(sum / static_cast<double>(n))) << n;
  }
}

}  // namespace
}  // namespace detent::kernels::sign_codes_test
