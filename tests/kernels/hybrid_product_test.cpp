// Products from f32 to f32 whose weights are codes: dynamic ones against exact sums and f32 operations in plain loops,
// weight-only ones against sums in double; and that a result does not depend on its batch.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "detent/core/conversion.h"
#include "detent/kernels/codes/dynamic_codes.h"
#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/product/hybrid/dynamic_product.h"
#include "detent/kernels/product/hybrid/weight_only_product.h"
#include "tests/error_of.h"
#include "tests/kernels/products.h"

namespace detent::kernels::hybrid_product_test {
namespace {

using testing::are_equal;
using testing::are_near;
using testing::named_shapes;
using testing::NamedShape;
using testing::random_codes;
using testing::random_floats;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<int> codes_of(const std::vector<float>& x, CodeRange codes = unsigned_codes(8)) {
  std::vector<std::uint8_t> q(x.size());
  quantize_dynamic(x, codes, q.data());
  return {q.begin(), q.end()};
}

TEST(DynamicCodes, ByHand) {
  const ScaleZero map = dynamic_map(std::vector<float>{-1.0F, 0.5F, 3.0F}, unsigned_codes(8));
  EXPECT_EQ(map, (ScaleZero{4.0F / 255.0F, 64}));
  EXPECT_THAT(codes_of({-1.0F, 0.5F, 3.0F}), ::testing::ElementsAre(0, 96, 255));
  EXPECT_EQ(dynamic_map(std::vector<float>{0.0F, 3.0F, -1.5F}, unsigned_codes(2)), (ScaleZero{1.5F, 1}));
  EXPECT_THAT(codes_of({0.0F, 3.0F, -1.5F}, unsigned_codes(2)), ::testing::ElementsAre(1, 3, 0));
}

/// The example of ONNX's DynamicQuantizeLinear.
TEST(DynamicCodes, AreThoseOfOnnx) {
  const std::vector<float> x{0.0F, 2.0F, -3.0F, -2.5F, 1.34F, 0.5F};
  EXPECT_EQ(dynamic_map(x, unsigned_codes(8)).zero_point, 153);
  EXPECT_NEAR(dynamic_map(x, unsigned_codes(8)).scale, 0.0196078438F, 1e-9F);
  EXPECT_THAT(codes_of(x), ::testing::ElementsAre(153, 255, 0, 26, 221, 179));
}

TEST(DynamicCodes, OfRowsWithoutARange) {
  EXPECT_EQ(dynamic_map(std::vector<float>{0.0F, -0.0F}, unsigned_codes(8)), (ScaleZero{0x1p-60F, 0}));
  EXPECT_THAT(codes_of({0.0F, -0.0F}), ::testing::ElementsAre(0, 0));
  EXPECT_THAT(codes_of({kNan, kNan}), ::testing::ElementsAre(0, 0));
  EXPECT_THAT(codes_of({5.0F, 5.0F}), ::testing::ElementsAre(255, 255));
  EXPECT_THAT(codes_of({-5.0F}), ::testing::ElementsAre(0));
}

TEST(DynamicCodes, OfNumbersThatAreNotFinite) {
  // They do not move the range of the others.
  EXPECT_THAT(codes_of({-1.0F, kInfinity, 3.0F, kNan, -kInfinity}), ::testing::ElementsAre(0, 255, 255, 0, 0));
  EXPECT_THAT(codes_of({3e38F, -3e38F}), ::testing::ElementsAre(::testing::Gt(127), ::testing::Lt(128)));
}

struct Case {
  ConvShape shape;
  std::vector<float> x, bias;
  std::vector<std::int8_t> weight;
  QParams map;

  Case(const ConvShape& conv, std::int64_t group, int bits, std::uint64_t seed) : shape(conv) {
    RandomStream random(seed, "hybrid product");
    const std::int64_t channels = shape.c / shape.groups;
    x = random_floats(shape.n * shape.input_row(), "x", seed);
    for (std::int64_t n = 0; n < shape.n; ++n) {  // examples of different ranges
      const float size = random.uniform(0.1F, 4.0F);
      for (std::int64_t i = 0; i < shape.input_row(); ++i) {
        x[static_cast<std::size_t>(n * shape.input_row() + i)] *= size;
      }
    }
    const CodeRange codes = signed_codes(bits);
    weight = random_codes<std::int8_t>(shape.weight_elements(), codes.qmin, codes.qmax, "weight", seed);
    map = {{}, {}, 0, codes, group, group == 0 ? 1 : groups_of(channels, group)};
    for (std::int64_t i = 0; i < shape.o * map.groups; ++i) {
      map.scale.push_back(random.uniform(1e-4F, 1e-2F));
      map.zero_point.push_back(0);
    }
    if (seed % 3 != 0) {
      bias = random_floats(shape.o, "bias", seed);
    }
  }
  std::int64_t group_of(std::int64_t k) const { return map.group == 0 ? 0 : k % (shape.c / shape.groups) / map.group; }
  float scale(std::int64_t o, std::int64_t g) const { return map.scale[static_cast<std::size_t>(o * map.groups + g)]; }
  float bias_of(std::int64_t o) const { return bias.empty() ? 0.0F : bias[static_cast<std::size_t>(o)]; }

  /// The weights of one group alone.
  std::vector<std::int8_t> part(std::int64_t group) const {
    std::vector<std::int8_t> part = weight;
    for (std::size_t k = 0; k < part.size(); ++k) {
      part[k] = group_of(static_cast<std::int64_t>(k)) == group ? part[k] : std::int8_t{0};
    }
    return part;
  }
};

std::vector<float> dynamic_reference(const Case& c, CodeRange codes, bool relu) {
  ConvShape one = c.shape;
  one.n = 1;
  std::vector<float> y;
  for (std::int64_t n = 0; n < c.shape.n; ++n) {
    const std::span<const float> x = std::span(c.x).subspan(static_cast<std::size_t>(n * one.input_row()),
                                                            static_cast<std::size_t>(one.input_row()));
    const MinMax range = min_max(x);
    const ScaleZero map = choose_qparams(range.min, range.max, codes, Scheme::Affine);
    std::vector<std::uint8_t> x_q;
    for (const float value : x) {
      x_q.push_back(static_cast<std::uint8_t>(detent::quantize(value, map, codes)));
    }
    std::vector<float> total(static_cast<std::size_t>(one.output_row()));
    for (std::int64_t g = 0; g < c.map.groups; ++g) {
      std::vector<std::int32_t> sums(total.size());
      reference_conv2d_integer(one, x_q.data(), map.zero_point, c.part(g).data(), sums.data());
      for (std::size_t i = 0; i < sums.size(); ++i) {
        const float scaled = static_cast<float>(sums[i]) * c.scale(static_cast<std::int64_t>(i) % c.shape.o, g);
        total[i] = g == 0 ? scaled : total[i] + scaled;
      }
    }
    for (std::size_t i = 0; i < total.size(); ++i) {
      const float scaled = total[i] * map.scale;
      const float real = scaled + c.bias_of(static_cast<std::int64_t>(i) % c.shape.o);
      y.push_back(relu ? std::max(real, 0.0F) : real);
    }
  }
  return y;
}

template <typename Product>
std::vector<float> run(const Product& product, const Case& c, std::int64_t together) {
  std::vector<float> y(static_cast<std::size_t>(c.shape.n * c.shape.output_row()), kNan);
  for (std::int64_t n = 0; n < c.shape.n; n += together) {
    const std::int64_t count = std::min(together, c.shape.n - n);
    product.run(c.x.data() + n * c.shape.input_row(), count, {0, product.parts()}, y.data() + n * c.shape.output_row());
  }
  return y;
}

/// As `run`, part by part.
template <typename Product>
std::vector<float> run_in_parts(const Product& product, const Case& c) {
  std::vector<float> y(static_cast<std::size_t>(c.shape.n * c.shape.output_row()), kNan);
  for (std::int64_t n = 0; n < c.shape.n; ++n) {
    for (std::int64_t part = product.parts(); part-- > 0;) {
      product.run(c.x.data() + n * c.shape.input_row(), 1, {part, part + 1}, y.data() + n * c.shape.output_row());
    }
  }
  return y;
}

class HybridShapes : public ::testing::TestWithParam<NamedShape> {
 protected:
  /// Calls test(case, relu) for weights of a scale a channel and of several groups.
  template <typename Test>
  static void for_each_case(std::initializer_list<int> bits, Test&& test) {
    std::uint64_t seed = 20;
    ConvShape shape = GetParam().shape;
    shape.n = std::min<std::int64_t>(shape.n, shape.is_linear() ? 21 : 4);
    for (const int of_weight : bits) {
      for (const std::int64_t group : {0, 3, 32}) {
        if (group > 0 && groups_of(shape.c / shape.groups, group) > 24) {
          continue;
        }
        ++seed;
        SCOPED_TRACE(::testing::Message() << of_weight << " bits, groups of " << group << ", seed " << seed);
        test(Case(shape, group, of_weight, seed), seed % 2 == 0);
      }
    }
  }
};

TEST_P(HybridShapes, DynamicGivesTheBitsOfThePlainLoops) {
  for_each_case({8}, [](const Case& c, bool relu) {
    for (const int bits : {8, 4}) {
      const CodeRange codes = unsigned_codes(bits);
      const std::vector<float> expected = dynamic_reference(c, codes, relu);
      const DynamicProduct product(c.shape, c.weight.data(), c.map, c.bias, codes, relu);
      EXPECT_TRUE(are_equal("whole batch", run(product, c, c.shape.n), expected));
      EXPECT_TRUE(are_equal("one by one", run(product, c, 1), expected));
      EXPECT_TRUE(are_equal("three by three", run(product, c, 3), expected));
      EXPECT_TRUE(are_equal("in parts", run_in_parts(product, c), expected));
    }
  });
}

/// The largest of each whole window of 2 x 2 pixels.
std::vector<float> pooled_reference(const ConvShape& s, const std::vector<float>& y) {
  std::vector<float> pooled;
  for (std::int64_t n = 0; n < s.n; ++n) {
    for (std::int64_t row = 0; row + 1 < s.out_h(); row += 2) {
      for (std::int64_t column = 0; column + 1 < s.out_w(); column += 2) {
        for (std::int64_t o = 0; o < s.o; ++o) {
          const auto at = [&](std::int64_t i, std::int64_t j) {
            return y[static_cast<std::size_t>(((n * s.out_h() + row + i) * s.out_w() + column + j) * s.o + o)];
          };
          pooled.push_back(std::max(std::max(at(0, 0), at(0, 1)), std::max(at(1, 0), at(1, 1))));
        }
      }
    }
  }
  return pooled;
}

TEST_P(HybridShapes, DynamicPoolsTheBitsOfThePlainLoops) {
  for_each_case({8}, [](const Case& c, bool relu) {
    const auto make = [&] {
      return DynamicProduct(c.shape, c.weight.data(), c.map, c.bias, unsigned_codes(8), relu, true);
    };
    if (!DynamicProduct::pools(c.shape, c.map)) {
      EXPECT_THAT(error_of([&] { make(); }), ::testing::HasSubstr("to pool"));
      return;
    }
    const std::vector<float> expected = pooled_reference(c.shape, dynamic_reference(c, unsigned_codes(8), relu));
    const DynamicProduct product = make();
    std::vector<float> y(expected.size(), kNan);
    product.run(c.x.data(), c.shape.n, {0, product.parts()}, y.data());
    EXPECT_TRUE(are_equal("pooled", y, expected));
  });
}

/// Sums in double of the numbers that the codes stand for and of `x` as it is, or rounded to bf16.
std::vector<float> weight_only_reference(const Case& c, bool relu, DType x_type) {
  std::vector<float> rounded = c.x;
  if (x_type == DType::BF16) {
    round_to_bfloat16(rounded);
  }
  std::vector<double> numbers, x(rounded.begin(), rounded.end()), bias,
      sums(static_cast<std::size_t>(c.shape.n * c.shape.output_row()));
  for (std::size_t k = 0; k < c.weight.size(); ++k) {
    const auto at = static_cast<std::int64_t>(k);
    numbers.push_back(double{c.scale(at / c.shape.depth(), c.group_of(at))} * c.weight[k]);
  }
  for (std::int64_t o = 0; o < c.shape.o; ++o) {
    bias.push_back(double{c.bias_of(o)});
  }
  reference_conv2d_forward(c.shape, x.data(), numbers.data(), bias.data(), sums.data());
  std::vector<float> expected;
  for (const double sum : sums) {
    expected.push_back(static_cast<float>(relu ? std::max(sum, 0.0) : sum));
  }
  return expected;
}

TEST_P(HybridShapes, WeightOnlyGivesTheSumsOfTheirNumbers) {
  for_each_case({8, 4, 3, 2}, [](const Case& c, bool relu) {
    for (const DType type : {DType::F32, DType::BF16}) {
      SCOPED_TRACE(name_of(type));
      const WeightOnlyProduct product(c.shape, c.weight.data(), c.map, c.bias, relu, type);
      const std::vector<float> y = run(product, c, c.shape.n);
      EXPECT_TRUE(are_near("whole batch", y, weight_only_reference(c, relu, type), 2e-6F));
      EXPECT_TRUE(are_equal("one by one", run(product, c, 1), y));
      EXPECT_TRUE(are_equal("three by three", run(product, c, 3), y));
      EXPECT_TRUE(are_equal("in parts", run_in_parts(product, c), y));
    }
  });
}

/// Linear layers whose rows, outputs and depths are none, one and several of what kernels take at a time.
TEST(HybridProducts, WeightOnlyTakesAnyRowsOutputsAndGroups) {
  std::uint64_t seed = 40;
  for (const auto& [rows, depth, outputs] :
       {std::array<std::int64_t, 3>{1, 1, 1}, {2, 33, 16}, {7, 300, 65}, {75, 96, 64}, {150, 257, 31}, {5, 520, 130}}) {
    for (const std::int64_t group : {0, 7, 32, 48, 64, 128}) {
      for (const int bits : {8, 4, 2}) {
        for (const DType type : {DType::F32, DType::BF16}) {
          ++seed;
          SCOPED_TRACE(::testing::Message() << rows << " rows of " << depth << ", " << outputs << " outputs, groups of "
                                            << group << ", " << bits << " bits, " << type << ", seed " << seed);
          const Case c(ConvShape::linear(rows, depth, outputs), group, bits, seed);
          const WeightOnlyProduct product(c.shape, c.weight.data(), c.map, c.bias, false, type);
          const std::vector<float> y = run(product, c, rows);
          EXPECT_TRUE(are_near("whole batch", y, weight_only_reference(c, false, type), 2e-6F));
          EXPECT_TRUE(are_equal("one by one", run(product, c, 1), y));
          EXPECT_TRUE(are_equal("eight by eight", run(product, c, 8), y));
          EXPECT_TRUE(are_equal("in parts", run_in_parts(product, c), y));
        }
      }
    }
  }
}

/// x = 2^-9 + 1 is 1 in bf16, and 3 * 2^-9 + 1 is 2^-7 + 1.
TEST(HybridProducts, WeightOnlyOfBf16RoundsByHand) {
  Case c(ConvShape::linear(1, 3, 1), 0, 4, 3);
  c.x = {1.0F + 0x1p-9F, 1.0F + 0x3p-9F, -2.0F};
  c.weight = {7, -1, 3};
  c.map.scale = {0.5F};
  EXPECT_EQ(run(WeightOnlyProduct(c.shape, c.weight.data(), c.map, {}, false, DType::BF16), c, 1),
            (std::vector<float>{0.5F * (7.0F - (1.0F + 0x1p-7F) - 6.0F)}));
  EXPECT_EQ(run(WeightOnlyProduct(c.shape, c.weight.data(), c.map, {}, false), c, 1),
            (std::vector<float>{0.5F * (7.0F + 0x7p-9F - 1.0F - 0x3p-9F - 6.0F)}));
  EXPECT_THAT(error_of([&] { WeightOnlyProduct(c.shape, c.weight.data(), c.map, {}, false, DType::F16); }),
              ::testing::HasSubstr("expected f32 or bf16, got f16"));
}

INSTANTIATE_TEST_SUITE_P(Shapes, HybridShapes, ::testing::ValuesIn(named_shapes()), testing::shape_name);

TEST(HybridProducts, GiveTheBiasForARowOfZeros) {
  Case c(ConvShape::linear(1, 20, 5), 0, 8, 1);
  std::ranges::fill(c.x, 0.0F);
  const DynamicProduct dynamic(c.shape, c.weight.data(), c.map, c.bias, unsigned_codes(8), false);
  EXPECT_EQ(run(dynamic, c, 1), c.bias);
  std::ranges::fill(c.x, kNan);
  EXPECT_EQ(run(dynamic, c, 1), c.bias);
  std::ranges::fill(c.x, 0.0F);
  EXPECT_EQ(run(WeightOnlyProduct(c.shape, c.weight.data(), c.map, c.bias, false), c, 1), c.bias);
}

/// In f32 a NaN is passed on, with a ReLU as well.
TEST(HybridProducts, WeightOnlyPassesNanOn) {
  Case c(ConvShape::linear(1, 20, 5), 0, 8, 1);
  c.x[7] = kNan;
  for (const bool relu : {false, true}) {
    EXPECT_THAT(run(WeightOnlyProduct(c.shape, c.weight.data(), c.map, c.bias, relu), c, 1),
                ::testing::Each(::testing::IsNan()));
  }
}

/// A number that is not finite changes only the row in which it stands.
TEST(HybridProducts, ExamplesDoNotSeeEachOther) {
  Case c(ConvShape::linear(9, 31, 17), 0, 8, 2);
  const DynamicProduct product(c.shape, c.weight.data(), c.map, c.bias, unsigned_codes(8), true);
  const std::vector<float> before = run(product, c, 9);
  std::fill_n(c.x.begin() + 4 * 31, 31, kInfinity);
  c.x[4 * 31] = -1e30F;
  const std::vector<float> after = run(product, c, 9);
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_TRUE(i / 17 == 4 || before[i] == after[i]) << i;
  }
}

TEST(HybridProducts, MemoryFollowsTheBits) {
  const ConvShape shape = ConvShape::linear(1, 256, 64);
  const auto bytes_of = [&](int bits, std::int64_t group) {
    const Case c(shape, group, bits, 1);
    return WeightOnlyProduct(shape, c.weight.data(), c.map, c.bias, false).bytes();
  };
  const std::size_t constants = (64 + 64) * sizeof(float);  // scales and biases
  EXPECT_EQ(bytes_of(8, 0), 256 * 64 + constants);
  EXPECT_EQ(bytes_of(4, 0), 256 * 64 / 2 + constants);
  EXPECT_EQ(bytes_of(3, 0), 256 * 64 / 2 + constants);
  EXPECT_EQ(bytes_of(2, 0), 256 * 64 / 4 + constants);
  EXPECT_EQ(bytes_of(4, 32), 256 * 64 / 2 + (64 * 8 + 64) * sizeof(float));
}

TEST(HybridProducts, RefuseSumsThatMightNotFit) {
  const ConvShape shape = ConvShape::linear(1, 66'312, 1);
  const Case c(shape, 0, 8, 1);
  EXPECT_THAT(error_of([&] { DynamicProduct(shape, c.weight.data(), c.map, c.bias, unsigned_codes(8), false); }),
              ::testing::HasSubstr("may pass 2^31"));
  EXPECT_GT(WeightOnlyProduct(shape, c.weight.data(), c.map, c.bias, false).bytes(), 66'312U);
}

}  // namespace
}  // namespace detent::kernels::hybrid_product_test
