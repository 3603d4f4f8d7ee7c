// Products of weights that have a scale a group of input channels, against sums and f32 operations in plain loops.

#include "detent/kernels/product/group_product.h"

#include "detent/core/threads/parallel.h"
#include "tests/kernels/products.h"

namespace detent::kernels::group_product_test {
namespace {

using testing::named_shapes;
using testing::NamedShape;
using testing::random_codes;

struct Case {
  ConvShape shape;
  std::int64_t size = 1;
  std::int32_t x_zero_point = 0;
  std::vector<std::uint8_t> x;
  std::vector<std::int8_t> weight;
  QParams qparams;
  std::vector<float> bias;
  Requantization requantization;

  Case(const ConvShape& conv, std::int64_t group, std::uint64_t seed, bool relu) : shape(conv), size(group) {
    RandomStream random(seed, "group product");
    const std::int64_t groups = groups_of(shape.c / shape.groups, size);
    x_zero_point = static_cast<std::int32_t>(random.index(256));
    x = random_codes<std::uint8_t>(shape.n * shape.input_row(), 0, 255, "x", seed);
    weight = random_codes<std::int8_t>(shape.weight_elements(), -127, 127, "weight", seed);
    qparams = {{}, {}, 0, signed_codes(8), size, groups};
    for (std::int64_t i = 0; i < shape.o * groups; ++i) {
      qparams.scale.push_back(random.uniform(1e-4F, 1e-2F));
      qparams.zero_point.push_back(0);
    }
    if (seed % 3 != 0) {
      bias = testing::random_floats(shape.o, "bias", seed);
    }
    const float reach = 0.002F * 0.02F * 75.0F * 75.0F * std::sqrt(static_cast<float>(shape.depth()));
    requantization =
        make_requantization({0.02F, x_zero_point}, qparams, bias, shape.o,
                            {reach / 100.0F, static_cast<std::int32_t>(random.index(256))}, unsigned_codes(8), relu);
  }

  /// The sums of one group: those of a weight whose other channels are 0.
  std::vector<std::int32_t> sums_of(std::int64_t group) const {
    std::vector<std::int8_t> part = weight;
    const std::int64_t channels = shape.c / shape.groups;
    for (std::size_t k = 0; k < part.size(); ++k) {
      part[k] = static_cast<std::int64_t>(k) % channels / size == group ? part[k] : std::int8_t{0};
    }
    std::vector<std::int32_t> acc(static_cast<std::size_t>(shape.n * shape.output_row()));
    reference_conv2d_integer(shape, x.data(), x_zero_point, part.data(), acc.data());
    return acc;
  }
};

struct Result {
  std::vector<std::uint8_t> y;
  std::vector<bool> passes;
  MinMax seen;
};

Result reference(const Case& c) {
  const auto outputs = static_cast<std::size_t>(c.shape.o);
  const Requantization& r = c.requantization;
  const ScaleZero to = r.output;
  std::vector<float> total(static_cast<std::size_t>(c.shape.n * c.shape.output_row()));
  for (std::int64_t g = 0; g < c.qparams.groups; ++g) {
    const std::vector<std::int32_t> acc = c.sums_of(g);
    for (std::size_t i = 0; i < acc.size(); ++i) {
      const double scale = double{c.qparams.scale_of(i % outputs, g)};
      const auto multiplier = static_cast<float>(double{0.02F} * scale / double{to.scale});
      const float scaled = static_cast<float>(acc[i]) * multiplier;
      total[i] = g == 0 ? scaled : total[i] + scaled;
    }
  }
  Result result{std::vector<std::uint8_t>(total.size()), std::vector<bool>(total.size()), {}};
  for (std::size_t i = 0; i < total.size(); ++i) {
    const double unit = double{0.02F} * double{c.qparams.scale_of(i % outputs)};
    const auto bias = c.bias.empty() ? 0.0F : static_cast<float>(std::nearbyint(double{c.bias[i % outputs]} / unit));
    const float scaled_bias = bias * static_cast<float>(unit / double{to.scale});
    const float sum = total[i] + scaled_bias;
    const float code = std::nearbyint(sum + static_cast<float>(to.zero_point));
    const float lower = r.relu ? static_cast<float>(to.zero_point) : 0.0F;
    result.y[i] = static_cast<std::uint8_t>(std::clamp(code, lower, 255.0F));
    result.passes[i] = code >= 0.0F && code <= 255.0F && (!r.relu || sum > 0.0F);
    const float real = r.relu && !(sum > 0.0F) ? 0.0F : sum * to.scale;
    result.seen.include({real, real});
  }
  return result;
}

class GroupProducts : public ::testing::TestWithParam<NamedShape> {};

TEST_P(GroupProducts, GiveTheCodesOfThePlainLoops) {
  std::uint64_t seed = 10;
  ConvShape shape = GetParam().shape;
  shape.n = std::min<std::int64_t>(shape.n, 5);
  for (const std::int64_t size : {1, 3, 8, 32}) {
    if (groups_of(shape.c / shape.groups, size) > 24) {
      continue;
    }
    ++seed;
    SCOPED_TRACE(::testing::Message() << "groups of " << size << ", seed " << seed);
    const Case c(shape, size, seed, seed % 2 == 0);
    const Result expected = reference(c);
    const GroupProduct product(shape, c.weight.data(), size, {});
    std::vector<std::uint8_t> y(expected.y.size());
    product.run(shape, c.x.data(), c.x_zero_point, c.requantization, y.data());
    std::size_t saturated = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ(y[i], expected.y[i]) << "element " << i;
      saturated += y[i] == 0 || y[i] == 255 ? 1 : 0;
    }
    EXPECT_TRUE(y.size() < 100 || saturated < y.size()) << "the scales of this test are badly chosen";

    std::vector<float> total(y.size());
    ThreadPool pool(3);
    pool.run([&] { product.totals(shape, c.x.data(), c.x_zero_point, c.requantization, total.data()); });
    std::vector<std::uint8_t> again(y.size());
    std::vector<std::uint8_t> mask(static_cast<std::size_t>(mask_bytes(static_cast<std::int64_t>(y.size()))));
    std::vector<float> reals(y.size());
    MinMax seen;
    const std::int64_t rows = static_cast<std::int64_t>(y.size()) / shape.o;
    requantize_totals(total.data(), rows, c.requantization, again.data(), mask.data(), &seen);
    real_values_of_totals(total.data(), rows, c.requantization, reals.data());
    EXPECT_EQ(again, y);
    for (std::size_t i = 0; i < y.size(); ++i) {
      ASSERT_EQ((mask[i / 8] >> (i % 8) & 1) != 0, expected.passes[i]) << "mask bit " << i;
    }
    EXPECT_EQ(seen, expected.seen);
    EXPECT_EQ(kernels::min_max(reals), expected.seen);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, GroupProducts, ::testing::ValuesIn(named_shapes()), testing::shape_name);

TEST(GroupProduct, RefusesMultipliersOfOtherGroups) {
  const Case c({.n = 1, .c = 8, .o = 3}, 4, 1, false);
  const GroupProduct other(c.shape, c.weight.data(), 2, {});
  std::vector<float> total(3);
  EXPECT_THROW(other.totals(c.shape, c.x.data(), 0, c.requantization, total.data()), Error);
  EXPECT_THROW(GroupProduct(c.shape, c.weight.data(), 0, {}), Error);
}

}  // namespace
}  // namespace detent::kernels::group_product_test
