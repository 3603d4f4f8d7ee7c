// The sums that gradients of maps are made of.
#include "detent/kernels/codes/step_sums.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "detent/core/dtype.h"
#include "detent/core/philox.h"
#include "detent/kernels/codes/layer_step_sums.h"
#include "detent/kernels/codes/quantize.h"

namespace detent::kernels::step_sums_test {
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

TEST(StepSums, PassTheGradientOfWhatLiesInside) {
  const ScaleZero map{0.5F, 1};  // t: -2, -1.5, -1.25, 2.5, 2.75, NaN, and 0 up to one behind a vector
  std::vector<float> x{-1.0F, -0.75F, -0.625F, 1.25F, 1.375F, std::numeric_limits<float>::quiet_NaN()};
  x.resize(17, 0.0F);
  std::vector<float> g(x.size());
  std::iota(g.begin(), g.end(), 1.0F);
  std::vector<float> passed = g;
  const StepSums sums = step_sums_and_pass(passed, x, map, {0, 3});
  const StepSums expected = step_sums(g, x, map, {0, 3});
  EXPECT_EQ(sums.inside, expected.inside);
  EXPECT_EQ(sums.above, expected.above);
  EXPECT_EQ(sums.below, expected.below);
  for (const std::size_t i : {0U, 1U, 4U, 5U}) {
    g[i] = 0.0F;
  }
  EXPECT_EQ(passed, g);
}

TEST(StepSums, OfIntegerSumsCountWhatRequantizeRounds) {
  // Two outputs: t = (acc + 2) / 4 and (acc - 1) / 2, codes [0, 3] with zero point 1, so t from -1 to 2.
  Requantization r{.multiplier = {0.25F, 0.5F},
                   .bias = {2.0F, -1.0F},
                   .real_scale = {9.0F, 9.0F},  // does not matter
                   .output = {0.3F, 1},
                   .codes = {0, 3}};
  // t: -1.25 -2 | 0.5 (a tie, to 0) 0 | 2.25 2.5 (a tie, to 2) | 3 2
  const std::vector<std::int32_t> acc{-7, -3, 0, 1, 7, 6, 10, 5};
  const std::vector<float> g{1, 2, 4, 8, 16, 32, 64, 128};
  const StepSums sums = step_sums(g.data(), acc.data(), 4, r);
  EXPECT_EQ(sums.inside, 1 * 0.25 - 4 * 0.5 - 16 * 0.25 - 32 * 0.5);
  EXPECT_EQ(sums.above, 64);
  EXPECT_EQ(sums.below, 2);
  EXPECT_EQ(sums.at_top, 16 + 32 + 64 + 128);
  EXPECT_EQ(sums.at_bottom, 1 + 2);
  const std::vector<bfloat16> narrow(g.begin(), g.end());
  EXPECT_EQ(step_sums(narrow.data(), acc.data(), 4, r).inside, sums.inside);
  r.relu = true;
  r.output.zero_point = 0;  // t from 0 to 3
  r.bias.clear();           // t: 0 0 | 0 0.5 | 1.75 3 | 2.5 2.5
  const StepSums with_relu = step_sums(g.data(), acc.data(), 4, r);
  EXPECT_EQ(with_relu.inside, -8 * 0.5 + 16 * 0.25 - 64 * 0.5 - 128 * 0.5);
  EXPECT_EQ(with_relu.above, 0);
  EXPECT_EQ(with_relu.below, 0);
  EXPECT_EQ(with_relu.at_top, 32);
  EXPECT_EQ(with_relu.at_bottom, 1 + 2 + 4);
}

TEST(StepSums, OfNarrowSumsAreThoseOfWhatTheyStandFor) {
  const Requantization r{.multiplier = {0.25F, 0.5F},
                         .bias = {2.0F, -1.0F},
                         .real_scale = {9.0F, 9.0F},
                         .output = {0.3F, 1},
                         .codes = {0, 3}};
  const std::vector<std::int32_t> acc{-7, -3, 0, 1, 7, 6, 10, 5};
  const std::vector<std::int8_t> narrow{-7, -8, 0, 0, 7, 10, 10, 8};  // of 1, and of 1/2 around 1
  const std::vector<float> center{0.0F, 1.0F}, step{1.0F, 0.5F}, g{1, 2, 4, 8, 16, 32, 64, 128};
  const StepSums expected = step_sums(g.data(), acc.data(), 4, r);
  const StepSums sums = step_sums(g.data(), narrow.data(), 4, r, center.data(), step.data());
  EXPECT_EQ(sums.inside, expected.inside);
  EXPECT_EQ(sums.above, expected.above);
  EXPECT_EQ(sums.below, expected.below);
  EXPECT_EQ(sums.at_top, expected.at_top);
  EXPECT_EQ(sums.at_bottom, expected.at_bottom);
  EXPECT_EQ(narrow_error(r, step), 0.125F);
}

TEST(StepSums, OfIntegerSumsAreThoseOfTheirRealValues) {
  RandomStream random(5, "step sums");
  for (const std::int64_t outputs : {1, 5, 16, 20, 500}) {
    for (const std::int64_t rows : {0, 1, 3, 100}) {
      const auto count = static_cast<std::size_t>(rows * outputs);
      std::vector<std::int32_t> acc(count);
      std::vector<float> g(count), x(count);
      for (std::size_t i = 0; i < count; ++i) {
        acc[i] = static_cast<std::int32_t>(random.uniform(-900.0F, 900.0F));
        g[i] = random.uniform(-1.0F, 1.0F);
      }
      Requantization r{.multiplier = {},
                       .bias = {},
                       .real_scale = {},
                       .output = {0.5F, 3},
                       .codes = {0, 15},
                       .relu = outputs % 2 == 0};
      for (std::int64_t o = 0; o < outputs; ++o) {
        r.multiplier.push_back(o % 2 == 0 ? 0x1p-6F : 0x1p-5F);
        r.real_scale.push_back(r.multiplier.back() * r.output.scale);
        r.bias.push_back(static_cast<float>(o % 7 - 3));
      }
      real_values(acc.data(), rows, r, x.data());
      const StepSums sums = step_sums(g.data(), acc.data(), rows, r);
      const StepSums expected = step_sums(g, x, r.output, r.codes);
      EXPECT_NEAR(sums.inside, expected.inside, 1e-3) << outputs << " x " << rows;
      EXPECT_NEAR(sums.above, expected.above, 1e-3) << outputs << " x " << rows;
      EXPECT_NEAR(sums.below, expected.below, 1e-3) << outputs << " x " << rows;
      EXPECT_NEAR(sums.at_top, expected.at_top, 1e-3) << outputs << " x " << rows;
      EXPECT_NEAR(sums.at_bottom, expected.at_bottom, 1e-3) << outputs << " x " << rows;
    }
  }
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
}  // namespace detent::kernels::step_sums_test
