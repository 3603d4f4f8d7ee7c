// The backward pass over the winners of a max-pool, against the plain loops over all pixels in double precision.
#include "detent/kernels/product/conv_pooled.h"

#include <gmock/gmock.h>

#include <limits>
#include <optional>

#include "detent/kernels/codes/straight_through.h"
#include "tests/kernels/pointwise.h"
#include "tests/kernels/products.h"

namespace detent::kernels::testing::conv_pooled_test {
namespace {

struct PooledShape {
  const char* name;
  ConvShape conv;
  std::int64_t window, stride;
  Padding2d padding;

  PoolShape pool() const {
    return {.n = conv.n,
            .h = conv.out_h(),
            .w = conv.out_w(),
            .c = conv.o,
            .kh = window,
            .kw = window,
            .stride_h = stride,
            .stride_w = stride,
            .padding = padding};
  }
};

void PrintTo(const PooledShape& shape, std::ostream* out) { *out << shape.name; }

// Kernel lines of less than a vector, of whole vectors, and of several blocks; one image, and more than partial sums.
const std::vector<PooledShape> kShapes{
    {"mnist_cnn", {.n = 3, .h = 26, .w = 26, .c = 32, .o = 64, .kh = 3, .kw = 3}, 2, 2, 0},
    {"lenet_first", {.n = 2, .h = 28, .w = 28, .c = 1, .o = 6, .kh = 5, .kw = 5, .padding = 2}, 2, 2, 0},
    {"lenet_second", {.n = 37, .h = 14, .w = 14, .c = 6, .o = 16, .kh = 5, .kw = 5}, 2, 2, 0},
    {"two_blocks", {.n = 2, .h = 10, .w = 11, .c = 40, .o = 7, .kh = 3, .kw = 3, .padding = 1}, 2, 2, 0},
    {"overlapping_windows", {.n = 5, .h = 17, .w = 15, .c = 3, .o = 19, .kh = 3, .kw = 2}, 3, 2, 1},
    {"four_paddings", {.n = 3, .h = 9, .w = 11, .c = 6, .o = 12, .kh = 3, .kw = 4, .padding = {1, 0, 2, 3}}, 2, 2, 0},
    {"windows_padded_on_one_side", {.n = 3, .h = 10, .w = 10, .c = 6, .o = 9, .kh = 2, .kw = 2}, 2, 2, {0, 0, 1, 1}},
    {"windows_with_gaps", {.n = 4, .h = 20, .w = 20, .c = 5, .o = 8, .kh = 3, .kw = 3}, 2, 4, 0},
    {"stride_and_dilation",
     {.n = 3,
      .h = 33,
      .w = 30,
      .c = 4,
      .o = 9,
      .kh = 3,
      .kw = 3,
      .stride_h = 2,
      .stride_w = 3,
      .padding = {2, 1},
      .dilation_h = 3},
     2,
     2,
     0},
    {"pointwise", {.n = 2, .h = 9, .w = 9, .c = 20, .o = 33}, 2, 2, 0},
};

/// Numbers for a shape: `share` of the gradients are not 0.
struct Case {
  ConvShape conv;
  PoolShape pool;
  std::vector<float> x, weight, g;
  std::vector<std::uint8_t> argmax;

  explicit Case(const PooledShape& shape, double share = 0.3)
      : conv(shape.conv),
        pool(shape.pool()),
        x(random_floats(conv.n * conv.input_row(), "x")),
        weight(random_floats(conv.weight_elements(), "weight")),
        g(random_floats(conv.n * pool.output_row(), "g")),
        argmax(g.size()) {
    const std::vector<float> sums = random_floats(conv.n * conv.output_row(), "sums");
    std::vector<float> y(g.size());
    max_pool_forward(pool, sums.data(), y.data(), argmax.data());
    RandomStream random(3, "kept");
    for (float& value : g) {
      value = random.uniform() < static_cast<float>(share) ? value : 0.0F;
    }
  }

  PooledConvBackward arguments() const {
    PooledConvBackward b;
    b.pool = pool;
    b.argmax = argmax.data();
    b.make_g = [this](std::int64_t image, float* to) {
      std::copy_n(g.data() + image * pool.output_row(), pool.output_row(), to);
    };
    b.make_x = [this](std::int64_t image, std::byte* to) {
      std::copy_n(x.data() + image * conv.input_row(), conv.input_row(), reinterpret_cast<float*>(to));
    };
    b.weight = bytes_of(weight);
    return b;
  }
};

Gradients expected(const Case& c) {
  const std::vector<double> g(c.g.begin(), c.g.end()), x(c.x.begin(), c.x.end()), w(c.weight.begin(), c.weight.end());
  std::vector<double> dy(static_cast<std::size_t>(c.conv.n * c.conv.output_row()));
  max_pool_backward(c.pool, g.data(), c.argmax.data(), dy.data());
  std::vector<double> dx(x.size()), dw(w.size()), db(static_cast<std::size_t>(c.conv.o));
  reference_conv2d_backward(c.conv, dy.data(), x.data(), w.data(), dx.data(), dw.data(), db.data());
  Gradients result(c.conv);
  std::copy(dx.begin(), dx.end(), result.dx.begin());
  std::copy(dw.begin(), dw.end(), result.dw.begin());
  std::copy(db.begin(), db.end(), result.db.begin());
  return result;
}

Gradients actual(const Case& c) {
  Gradients result(c.conv);
  PooledConvBackward b = c.arguments();
  b.dx = bytes_of(result.dx);
  b.dw = result.dw.data();
  b.db = result.db.data();
  conv2d_backward_pooled(c.conv, b);
  return result;
}

class ConvPooled : public ::testing::TestWithParam<PooledShape> {};

TEST_P(ConvPooled, EqualsTheProductsOverAllPixels) {
  for (const double share : {0.0, 0.3, 1.0}) {
    const Case c(GetParam(), share);
    ASSERT_TRUE(visits_winners(c.conv, c.pool));
    const Gradients want = expected(c), got = actual(c);
    EXPECT_TRUE(are_near("dx", got.dx, want.dx, 2e-6F)) << "share " << share;
    EXPECT_TRUE(are_near("dw", got.dw, want.dw, 2e-6F)) << "share " << share;
    EXPECT_TRUE(are_near("db", got.db, want.db, 2e-6F)) << "share " << share;
  }
}

TEST_P(ConvPooled, GivesOnlyWhatIsWanted) {
  const Case c(GetParam());
  const Gradients whole = actual(c);
  Gradients parts(c.conv);
  PooledConvBackward only_dx = c.arguments();
  only_dx.make_x = nullptr;
  only_dx.dx = bytes_of(parts.dx);
  conv2d_backward_pooled(c.conv, only_dx);
  PooledConvBackward only_dw = c.arguments();
  only_dw.weight = nullptr;
  only_dw.dw = parts.dw.data();
  conv2d_backward_pooled(c.conv, only_dw);
  expect_same_bits("dx", parts.dx, whole.dx);
  expect_same_bits("dw", parts.dw, whole.dw);
}

TEST_P(ConvPooled, RoundsDxToBF16) {
  const Case c(GetParam());
  std::vector<bfloat16> dx(c.x.size());
  PooledConvBackward b = c.arguments();
  b.dx = bytes_of(dx);
  b.dx_dtype = DType::BF16;
  conv2d_backward_pooled(c.conv, b);
  EXPECT_TRUE(are_equal("dx", to_floats(dx), to_floats(to_bf16(actual(c).dx))));
}

TEST_P(ConvPooled, InBF16EqualsTheProductsOfRoundedNumbers) {
  Case c(GetParam());
  const std::vector<bfloat16> x = to_bf16(c.x), weight = to_bf16(c.weight);
  c.x = to_floats(x), c.weight = to_floats(weight);
  PooledConvBackward b = c.arguments();  // g is rounded within
  b.dtype = DType::BF16;
  b.make_x = [&](std::int64_t image, std::byte* to) {
    std::copy_n(x.data() + image * c.conv.input_row(), c.conv.input_row(), reinterpret_cast<bfloat16*>(to));
  };
  b.weight = bytes_of(weight);
  const auto run = [&] {
    Gradients result(c.conv);
    b.dx = bytes_of(result.dx);
    b.dw = result.dw.data();
    b.db = result.db.data();
    conv2d_backward_pooled(c.conv, b);
    return result;
  };
  const Gradients got = run();
  std::optional<Gradients> one;
  ThreadPool(1).run([&] { one = run(); });
  expect_same_bits("dx with one thread", one->dx, got.dx);
  expect_same_bits("dw with one thread", one->dw, got.dw);
  c.g = to_floats(to_bf16(c.g));
  const Gradients want = expected(c);
  EXPECT_TRUE(are_near("dx", got.dx, want.dx, 2e-6F));
  EXPECT_TRUE(are_near("dw", got.dw, want.dw, 2e-6F));
  EXPECT_TRUE(are_near("db", got.db, want.db, 2e-6F));
}

TEST_P(ConvPooled, GivesTheSameBitsAtAnyNumberOfThreads) {
  const Case c(GetParam());
  std::optional<Gradients> one, three;
  ThreadPool(1).run([&] { one = actual(c); });
  ThreadPool(3).run([&] { three = actual(c); });
  expect_same_bits("dx", three->dx, one->dx);
  expect_same_bits("dw", three->dw, one->dw);
  expect_same_bits("db", three->db, one->db);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ConvPooled, ::testing::ValuesIn(kShapes),
                         [](const ::testing::TestParamInfo<PooledShape>& shape) { return shape.param.name; });

TEST(ConvPooledRules, PassesNonFiniteGradientsOn) {
  Case c(kShapes[0]);
  c.g[5] = std::numeric_limits<float>::infinity();
  c.g[6] = std::numeric_limits<float>::quiet_NaN();
  const Gradients got = actual(c);
  EXPECT_TRUE(std::isinf(got.db[5]));
  EXPECT_TRUE(std::isnan(got.db[6]));
  EXPECT_FALSE(std::isfinite(got.dw[5 * 9 * 32]));
}

TEST(ConvPooledRules, LeavesToAllPixelsWhatSuitsThem) {
  const PooledShape good = kShapes[0];
  ASSERT_TRUE(visits_winners(good.conv, good.pool()));
  PooledShape groups = good, columns_apart = good, every_pixel = good, tiny = good, large = good;
  groups.conv.groups = 2;
  columns_apart.conv.dilation_w = 2;
  every_pixel.window = every_pixel.stride = 1;
  tiny.conv.h = tiny.conv.w = 8;
  large.conv.o = 1024;
  for (const PooledShape& shape : {groups, columns_apart, every_pixel, tiny, large}) {
    EXPECT_FALSE(visits_winners(shape.conv, shape.pool()));
    EXPECT_THROW(conv2d_backward_pooled(shape.conv, {.pool = shape.pool(), .make_g = {}, .make_x = {}}), Error);
  }
  PoolShape other = good.pool();
  other.h += 1;
  EXPECT_THROW(conv2d_backward_pooled(good.conv, {.pool = other, .make_g = {}, .make_x = {}}), Error);
}

template <typename G>
void check_masked_scale_of_winners() {
  for (const std::int64_t channels : {3, 8, 64, 520}) {
    for (const std::int64_t first : {std::int64_t{0}, std::int64_t{5}}) {
      const PoolShape pool{
          .h = 7, .w = 9, .c = channels, .kh = 3, .kw = 2, .stride_h = 2, .stride_w = 2, .padding = {1, 0}};
      const std::vector<std::uint8_t> mask = random_bytes((first + pool.input_row() + 7) / 8, 5);
      const std::vector<float> values = random_floats(pool.input_row(), "values"),
                               factor = random_floats(channels, "f");
      std::vector<float> y(static_cast<std::size_t>(pool.output_row()));
      std::vector<std::uint8_t> argmax(y.size());
      max_pool_forward(pool, values.data(), y.data(), argmax.data());
      // A max-pool of the elements' numbers, taken back from the winners, tells which bit each of them has.
      std::vector<G> dy(y.size());
      std::vector<float> expected(y.size()), actual(y.size(), std::numeric_limits<float>::quiet_NaN());
      for (std::size_t i = 0; i < y.size(); ++i) {
        dy[i] = G(static_cast<float>(i % 251) - 125.0F);
        const auto channel = static_cast<std::int64_t>(i) % channels;
        const auto line = static_cast<std::int64_t>(i) / channels / pool.out_w() * 2 - 1 + argmax[i] / 2;
        const auto column = static_cast<std::int64_t>(i) / channels % pool.out_w() * 2 + argmax[i] % 2;
        const std::int64_t bit = first + (line * pool.w + column) * channels + channel;
        ASSERT_EQ(values[static_cast<std::size_t>(bit - first)], y[i]) << "the test finds the wrong winner";
        expected[i] = (mask[static_cast<std::size_t>(bit / 8)] >> (bit % 8) & 1) != 0
                          ? static_cast<float>(dy[i]) * factor[static_cast<std::size_t>(channel)]
                          : 0.0F;
      }
      masked_scale_of_winners(pool, dy.data(), argmax.data(), mask.data(), first, factor.data(), actual.data());
      EXPECT_TRUE(are_equal("g", actual, expected)) << channels << " channels from bit " << first;
    }
  }
}

TEST(StraightThroughKernels, ScaleTheWinnersWhoseBitIsSet) {
  check_masked_scale_of_winners<float>();
  check_masked_scale_of_winners<bfloat16>();
}

}  // namespace
}  // namespace detent::kernels::testing::conv_pooled_test
