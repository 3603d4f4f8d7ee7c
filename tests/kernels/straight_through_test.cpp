#include "detent/kernels/codes/straight_through.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "detent/core/philox.h"
#include "detent/kernels/codes/quantize.h"

namespace detent::kernels::straight_through_test {
namespace {

/// Rows of dy, sums and mask bits, and the constants of the outputs.
template <typename G>
struct Case {
  std::int64_t rows, outputs;
  std::vector<G> dy;
  std::vector<std::int32_t> acc;
  std::vector<std::int8_t> narrow;
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
      narrow.push_back(static_cast<std::int8_t>(static_cast<int>(random.index(255)) - 127));
    }
    for (std::int64_t i = 0; i < o; ++i) {
      a.push_back(random.normal());
      b.push_back(random.normal() * 1e-4F);
      c.push_back(random.normal());
    }
  }
  float gated(std::size_t i) const { return mask[i / 8] >> (i % 8) & 1 ? static_cast<float>(dy[i]) : 0.0F; }
};

/// Within f32's rounding of the sum of magnitudes.
template <typename G, typename S>
void check_sums(const Case<G>& t, const std::vector<S>& acc) {
  const auto outputs = static_cast<std::size_t>(t.outputs);
  std::vector<double> g(outputs, 1.0), g_acc(outputs, 2.0);
  masked_sums(t.dy.data(), t.mask.data(), acc.data(), t.rows, t.outputs, g.data(), g_acc.data());
  for (std::size_t o = 0; o < outputs; ++o) {
    double want_g = 1.0, want_g_acc = 2.0, size_g = 0.0, size_g_acc = 0.0;
    for (std::size_t i = o; i < acc.size(); i += outputs) {
      const double passed = static_cast<double>(t.gated(i));
      want_g += passed;
      want_g_acc += passed * acc[i];
      size_g += std::abs(passed);
      size_g_acc += std::abs(passed * acc[i]);
    }
    ASSERT_NEAR(g[o], want_g, 1e-6 * size_g) << "sum of " << t.rows << " rows, output " << o;
    ASSERT_NEAR(g_acc[o], want_g_acc, 1e-6 * size_g_acc) << "sum with acc of " << t.rows << " rows, output " << o;
  }
}

template <typename G, typename T>
void check_all() {
  for (const std::int64_t outputs : {1, 3, 8, 10, 16, 20, 50, 64, 100, 128, 500, 513, 1030}) {
    for (const std::int64_t rows : {1, 2, 7, 131, 1700}) {
      const Case<G> t(rows, outputs);
      const auto n = static_cast<std::size_t>(rows * outputs);
      std::vector<T> scaled(n), affine(n);
      masked_scale(t.dy.data(), t.mask.data(), rows, outputs, t.a.data(), scaled.data());
      masked_affine(t.dy.data(), t.mask.data(), t.acc.data(), rows, outputs, t.a.data(), t.b.data(), t.c.data(),
                    affine.data());
      std::vector<T> narrow_affine(n);
      masked_affine(t.dy.data(), t.mask.data(), t.narrow.data(), rows, outputs, t.a.data(), t.b.data(), t.c.data(),
                    narrow_affine.data());
      for (std::size_t i = 0; i < n; ++i) {
        const std::size_t o = i % static_cast<std::size_t>(outputs);
        const auto want = static_cast<float>(T(t.gated(i) * t.a[o]));
        ASSERT_EQ(static_cast<float>(scaled[i]), want) << "scale, outputs " << outputs << ", element " << i;
        const float sum = t.a[o] * t.gated(i) + t.b[o] * static_cast<float>(t.acc[i]);
        ASSERT_EQ(static_cast<float>(affine[i]), static_cast<float>(T(sum + t.c[o])))
            << "affine, outputs " << outputs << ", element " << i;
        const float narrow_sum = t.a[o] * t.gated(i) + t.b[o] * static_cast<float>(t.narrow[i]);
        ASSERT_EQ(static_cast<float>(narrow_affine[i]), static_cast<float>(T(narrow_sum + t.c[o])))
            << "affine of s8, outputs " << outputs << ", element " << i;
      }
      check_sums(t, t.acc);
      check_sums(t, t.narrow);
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

}  // namespace
}  // namespace detent::kernels::straight_through_test
