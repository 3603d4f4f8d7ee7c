#include <cstdlib>

#include "tests/kernels/products.h"

namespace detent::kernels::testing::integer_test {
namespace {

std::vector<std::int32_t> integer_sums(const ConvShape& shape, const std::vector<std::uint8_t>& x,
                                       std::int32_t zero_point, const PackedWeight& weight) {
  std::vector<std::int32_t> acc(static_cast<std::size_t>(shape.n * shape.output_row()), -1);
  conv2d_integer(shape, x.data(), zero_point, weight, [&](std::int64_t, Range images, const std::int32_t* sums) {
    std::copy_n(sums, images.size() * shape.output_row(), acc.begin() + images.begin * shape.output_row());
  });
  return acc;
}

std::vector<std::int32_t> expected_sums(const ConvShape& shape, const std::vector<std::uint8_t>& x,
                                        std::int32_t zero_point, const std::vector<std::int8_t>& weight) {
  std::vector<std::int32_t> acc(static_cast<std::size_t>(shape.n * shape.output_row()));
  reference_conv2d_integer(shape, x.data(), zero_point, weight.data(), acc.data());
  return acc;
}

class Conv2dInteger : public ::testing::TestWithParam<NamedShape> {
 protected:
  const ConvShape shape = GetParam().shape;
};

TEST_P(Conv2dInteger, RandomCodesGiveExactSums) {
  const auto weight = random_codes<std::int8_t>(shape.weight_elements(), -127, 127, "weight");
  const auto x = random_codes<std::uint8_t>(shape.n * shape.input_row(), 0, 255, "x");
  const PackedWeight packed = pack_integer(shape, weight.data());
  const PackedWeight owned = pack_integer(shape, weight.data(), std::make_shared<int>());
  for (const std::int32_t zero_point : {0, 3, 128, 255}) {
    const auto expected = expected_sums(shape, x, zero_point, weight);
    EXPECT_TRUE(are_equal("acc", integer_sums(shape, x, zero_point, packed), expected)) << "zero point " << zero_point;
    EXPECT_TRUE(are_equal("acc of an owned weight", integer_sums(shape, x, zero_point, owned), expected))
        << "zero point " << zero_point;
  }
}

// Pairs of 255 * 127 overflow the 16 bits in which processors without VNNI add them.
TEST_P(Conv2dInteger, ExtremeCodesGiveExactSums) {
  const std::vector<std::uint8_t> x(static_cast<std::size_t>(shape.n * shape.input_row()), 255);
  for (const std::int8_t code : {std::int8_t{-127}, std::int8_t{127}}) {
    const std::vector<std::int8_t> weight(static_cast<std::size_t>(shape.weight_elements()), code);
    const PackedWeight packed = pack_integer(shape, weight.data());
    for (const std::int32_t zero_point : {0, 255}) {
      EXPECT_TRUE(
          are_equal("acc", integer_sums(shape, x, zero_point, packed), expected_sums(shape, x, zero_point, weight)))
          << "zero point " << zero_point << ", weight " << +code;
    }
  }
}

// ctest runs the products with this variable set; the other path must really be taken then.
TEST(Units, AreThoseOfTheProcessorWithinTheLimit) {
  const char* isa = std::getenv("DETENT_MAX_CPU_ISA");
  const std::string most = isa != nullptr ? isa : "all";
  const bool has_no_vnni = most == "sse41" || most == "avx2" || most == "avx2_vnni" || most == "avx512";
  if (has_no_vnni) {
    EXPECT_FALSE(has_int8_units()) << most;
  }
  if (has_no_vnni || most == "avx512_vnni") {
    EXPECT_FALSE(has_bf16_units()) << most;
  }
  if (has_bf16_units()) {
    EXPECT_TRUE(has_int8_units()) << "every processor with bf16 units has VNNI";
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Conv2dInteger, ::testing::ValuesIn(named_shapes()), shape_name);

TEST(Conv2dIntegerSlices, AreThoseOfConvSlicesAndCoverEveryImageOnce) {
  const ConvShape shape{.n = 131, .h = 12, .w = 12, .c = 4, .o = 8, .kh = 3, .kw = 3};
  const auto weight = random_codes<std::int8_t>(shape.weight_elements(), -127, 127, "weight");
  const auto x = random_codes<std::uint8_t>(shape.n * shape.input_row(), 0, 255, "x");
  const Slices slices = conv_slices(shape);
  std::vector<int> seen(static_cast<std::size_t>(shape.n));
  conv2d_integer(shape, x.data(), 7, pack_integer(shape, weight.data()),
                 [&](std::int64_t slice, Range images, const std::int32_t*) {
                   EXPECT_EQ(images.begin, slices[slice].begin);
                   for (std::int64_t i = images.begin; i < images.end; ++i) {
                     ++seen[static_cast<std::size_t>(i)];
                   }
                 });
  EXPECT_EQ(seen, std::vector<int>(seen.size(), 1));
}

TEST(Conv2dIntegerSlices, OneSizeOfWeightFitsEveryBatch) {
  ConvShape shape{.n = 128, .h = 9, .w = 9, .c = 16, .o = 32, .kh = 3, .kw = 3, .padding = 1};
  const auto weight = random_codes<std::int8_t>(shape.weight_elements(), -127, 127, "weight");
  const PackedWeight packed = pack_integer(shape, weight.data());
  for (const std::int64_t n : {1, 3, 16, 19}) {
    shape.n = n;
    const auto x = random_codes<std::uint8_t>(n * shape.input_row(), 0, 255, "x");
    EXPECT_TRUE(are_equal("acc", integer_sums(shape, x, 77, packed), expected_sums(shape, x, 77, weight))) << n;
  }
}

TEST(Conv2dIntegerRandom, ShapesGiveExactSums) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    RandomStream random(seed, "integer shapes");
    const auto pick = [&](std::int64_t low, std::int64_t high) {
      return low + static_cast<std::int64_t>(random.index(static_cast<std::uint32_t>(high - low + 1)));
    };
    ConvShape s{.n = pick(1, 20), .h = pick(5, 12), .w = pick(5, 12)};
    s.groups = pick(0, 2) == 0 ? pick(2, 4) : 1;
    s.c = s.groups * pick(1, 40);
    s.o = s.groups * pick(1, 40);
    s.kh = pick(1, 3);
    s.kw = pick(1, 3);
    s.stride_h = pick(1, 2);
    s.stride_w = pick(1, 2);
    s.padding = {pick(0, 2), pick(0, 2), pick(0, 2), pick(0, 2)};
    s.dilation_h = pick(1, 2);
    s.dilation_w = pick(1, 2);
    const auto zero_point = static_cast<std::int32_t>(pick(0, 255));
    const auto weight = random_codes<std::int8_t>(s.weight_elements(), -127, 127, "weight", seed);
    const auto x = random_codes<std::uint8_t>(s.n * s.input_row(), 0, 255, "x", seed);
    EXPECT_TRUE(are_equal("acc", integer_sums(s, x, zero_point, pack_integer(s, weight.data())),
                          expected_sums(s, x, zero_point, weight)))
        << "seed " << seed << ": " << Shape{s.n, s.h, s.w, s.c} << " by " << s.weight_shape() << ", groups " << s.groups
        << ", zero point " << zero_point;
  }
}

}  // namespace
}  // namespace detent::kernels::testing::integer_test
