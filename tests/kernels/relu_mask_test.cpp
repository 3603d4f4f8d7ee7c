#include "detent/kernels/layers/relu_mask.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "detent/core/philox.h"

namespace detent::kernels::relu_mask_test {
namespace {

constexpr std::uint64_t kSeed = 11;

// Every pair of an interesting y and dy, then random ones; the vector code and its remainder both see all of them.
template <typename From, typename To, typename Y = float>
void check_pair(const char* name) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<float> special{0.0F, -0.0F, 1.0F, -1.0F,   1e-45F,        -1e-45F,
                                   kInf, -kInf, NAN,  3.4e38F, 1.0F + 0x1p-8F};
  std::vector<Y> y;
  std::vector<From> dy;
  for (const float a : special) {
    for (const float b : special) {
      y.push_back(Y(a));
      dy.push_back(From(b));
    }
  }
  RandomStream random(kSeed, "relu_mask");
  while (y.size() < 1003) {
    y.push_back(Y(random.normal()));
    dy.push_back(From(random.normal() * 100));
  }
  std::vector<To> dx(y.size());
  mask_relu(std::span<const Y>(y), dy.data(), dx.data());
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float expected = static_cast<float>(static_cast<float>(y[i]) > 0 ? To(static_cast<float>(dy[i])) : To(0.0F));
    const auto actual = static_cast<float>(dx[i]);
    ASSERT_TRUE(actual == expected || (std::isnan(actual) && std::isnan(expected)))
        << name << ", element " << i << ": y " << static_cast<float>(y[i]) << ", dy " << static_cast<float>(dy[i])
        << ": expected " << expected << ", got " << actual;
  }
}

TEST(ReluMask, PassesGradientsWhereTheResultIsPositive) {
  check_pair<float, float>("f32 to f32");
  check_pair<float, bfloat16>("f32 to bf16");
  check_pair<bfloat16, float>("bf16 to f32");
  check_pair<bfloat16, bfloat16>("bf16 to bf16");
  check_pair<float, float, bfloat16>("f32 to f32 by bf16");
  check_pair<float, bfloat16, bfloat16>("f32 to bf16 by bf16");
  check_pair<bfloat16, float, bfloat16>("bf16 to f32 by bf16");
  check_pair<bfloat16, bfloat16, bfloat16>("bf16 to bf16 by bf16");
}

TEST(ReluMask, WorksInPlace) {
  std::vector<float> y{1, -1, 0, 2}, g{5, 6, 7, 8};
  mask_relu(std::span<const float>(y), g.data(), g.data());
  EXPECT_EQ(g, (std::vector<float>{5, 0, 0, 8}));
  std::vector<double> wide_y{1, -1, 0, 2}, wide_g{5, 6, 7, 8};
  mask_relu(std::span<const double>(wide_y), wide_g.data(), wide_g.data());
  EXPECT_EQ(wide_g, (std::vector<double>{5, 0, 0, 8}));
}

}  // namespace
}  // namespace detent::kernels::relu_mask_test
