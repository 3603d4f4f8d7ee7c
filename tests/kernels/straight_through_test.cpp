#include "detent/kernels/codes/straight_through.h"

#include <gtest/gtest.h>

#include <vector>

#include "detent/core/philox.h"
#include "detent/kernels/codes/quantize.h"

namespace detent::kernels {
namespace {

/// Rows of dy, sums and mask bits, and the constants of the outputs.
template <typename G>
struct Case {
  std::int64_t rows, outputs;
  std::vector<G> dy;
  std::vector<std::int32_t> acc;
  std::vector<std::uint8_t> mask;
  std::vector<float> a, b, c;

  Case(std::int64_t r, std::int64_t o) : rows(r), outputs(o) {
    RandomStream random(7, "straight-through", static_cast<std::uint64_t>(r * 1000 + o));
    mask.resize(static_cast<std::size_t>(mask_bytes(r * o)));
    for (std::uint8_t& byte : mask) {
      byte = static_cast<std::uint8_t>(random.bits());
    }
    for (std::int64_t i = 0; i < r * o; ++i) {
      dy.push_back(G(random.normal()));
      acc.push_back(static_cast<std::int32_t>(random.index(20001)) - 10000);
    }
    for (std::int64_t i = 0; i < o; ++i) {
      a.push_back(random.normal());
      b.push_back(random.normal() * 1e-4F);
      c.push_back(random.normal());
    }
  }
  float gated(std::size_t i) const { return mask[i / 8] >> (i % 8) & 1 ? static_cast<float>(dy[i]) : 0.0F; }
};

template <typename G, typename T>
void check_all() {
  for (const std::int64_t outputs : {1, 3, 8, 10, 32, 64, 100, 128, 500, 513, 1030}) {
    for (const std::int64_t rows : {1, 2, 7, 130}) {
      const Case<G> t(rows, outputs);
      const auto n = static_cast<std::size_t>(rows * outputs);
      std::vector<T> scaled(n), affine(n);
      masked_scale(t.dy.data(), t.mask.data(), rows, outputs, t.a.data(), scaled.data());
      masked_affine(t.dy.data(), t.mask.data(), t.acc.data(), rows, outputs, t.a.data(), t.b.data(), t.c.data(),
                    affine.data());
      std::vector<double> g(static_cast<std::size_t>(outputs)), g_acc(g.size()), expected_g(g.size()),
          expected_g_acc(g.size());
      masked_sums(t.dy.data(), t.mask.data(), t.acc.data(), rows, outputs, g.data(), g_acc.data());
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t o = i % static_cast<std::size_t>(outputs);
        const auto want = static_cast<float>(T(t.gated(i) * t.a[o]));
        ASSERT_EQ(static_cast<float>(scaled[i]), want) << "scale, outputs " << outputs << ", element " << i;
        const float sum = t.a[o] * t.gated(i) + t.b[o] * static_cast<float>(t.acc[i]);
        ASSERT_EQ(static_cast<float>(affine[i]), static_cast<float>(T(sum + t.c[o])))
            << "affine, outputs " << outputs << ", element " << i;
        expected_g[o] += static_cast<double>(t.gated(i));
        expected_g_acc[o] += static_cast<double>(t.gated(i)) * t.acc[i];
      }
      EXPECT_EQ(g, expected_g) << "outputs " << outputs;
      EXPECT_EQ(g_acc, expected_g_acc) << "outputs " << outputs;
    }
  }
}

TEST(StraightThroughKernels, AgreeWithPlainLoops) {
  check_all<float, float>();
  check_all<float, bfloat16>();
  check_all<bfloat16, float>();
  check_all<bfloat16, bfloat16>();
}

TEST(StraightThroughKernels, CenteredCodesAreExact) {
  std::vector<std::uint8_t> codes(256);
  for (std::size_t i = 0; i < 256; ++i) {
    codes[i] = static_cast<std::uint8_t>(i);
  }
  for (const std::int32_t zero_point : {0, 1, 128, 255}) {
    std::vector<bfloat16> low(256);
    std::vector<float> wide(256);
    centered(codes.data(), 256, zero_point, low.data());
    centered(codes.data(), 256, zero_point, wide.data());
    for (int i = 0; i < 256; ++i) {
      ASSERT_EQ(static_cast<float>(low[static_cast<std::size_t>(i)]), static_cast<float>(i - zero_point));
      ASSERT_EQ(wide[static_cast<std::size_t>(i)], static_cast<float>(i - zero_point));
    }
  }
}

TEST(StraightThroughKernels, MomentsAreSumsInRowOrder) {
  const std::vector<std::int32_t> acc{1, -2, 3, 40000, 5, -6};
  std::vector<double> sum(2), squares(2);
  moments(acc.data(), 3, 2, sum.data(), squares.data());
  EXPECT_EQ(sum, (std::vector<double>{9, 39992}));
  EXPECT_EQ(squares, (std::vector<double>{35, 1600000040}));
}

}  // namespace
}  // namespace detent::kernels
