// The sums that gradients of maps are made of.
#include "detent/kernels/codes/step_sums.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "detent/core/philox.h"
#include "detent/kernels/codes/quantize.h"

namespace detent::kernels {
namespace {

TEST(StepSums, CountEachValueWhereItBelongs) {
  const ScaleZero map{0.5F, 1};  // of the codes [0, 3]: t from -1 to 2
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  // t: -2, -1.5 (a tie, to -2), -1.25, 0.25, 2, 2.5 (a tie, to 2), 2.75, NaN, infinity
  const std::vector<float> x{-1.0F, -0.75F, -0.625F, 0.125F, 1.0F, 1.25F, 1.375F, kNaN, kInfinity};
  const std::vector<float> g{1, 2, 4, 8, 16, 32, 64, 128, 256};
  const StepSums sums = step_sums(g, x, map, {0, 3});
  EXPECT_EQ(sums.inside, 4 * 0.25 - 8 * 0.25 - 32 * 0.5);
  EXPECT_EQ(sums.above, 64 + 256);
  EXPECT_EQ(sums.below, 1 + 2);
  EXPECT_EQ(sums.at_top, 16 + 32 + 64 + 256);
  EXPECT_EQ(sums.at_bottom, 1 + 2 + 4);
}

TEST(StepSums, AreThoseOfPlainLoopsForAnySize) {
  RandomStream random(3, "step sums");
  for (const std::size_t size : {0U, 1U, 15U, 16U, 17U, 255U, 256U, 257U, 1000U}) {
    std::vector<float> x(size), g(size);
    for (std::size_t i = 0; i < size; ++i) {
      x[i] = random.uniform(-3.0F, 3.0F);
      g[i] = random.uniform(-1.0F, 1.0F);
    }
    const ScaleZero map{0.3F, 5};
    const CodeRange codes{0, 15};
    const StepSums sums = step_sums(g, x, map, codes);
    double inside = 0.0, above = 0.0, below = 0.0;
    for (std::size_t i = 0; i < size; ++i) {
      const double t = static_cast<double>(x[i] / map.scale);
      const double code = std::nearbyint(t) + map.zero_point;
      inside += code >= 0 && code <= 15 ? static_cast<double>(g[i]) * (std::nearbyint(t) - t) : 0.0;
      above += code > 15 ? static_cast<double>(g[i]) : 0.0;
      below += code < 0 ? static_cast<double>(g[i]) : 0.0;
    }
    EXPECT_NEAR(sums.inside, inside, 1e-5) << size;
    EXPECT_NEAR(sums.above, above, 1e-5) << size;
    EXPECT_NEAR(sums.below, below, 1e-5) << size;
  }
}

}  // namespace
}  // namespace detent::kernels
