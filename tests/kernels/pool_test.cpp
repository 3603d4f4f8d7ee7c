#include "detent/kernels/layers/pool.h"
#include "detent/kernels/codes/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <sstream>

#include "detent/core/dtype.h"
#include "tests/kernels/pointwise.h"

namespace detent::kernels::pool_test {
namespace {

using testing::error_of;
using testing::expect_same_bits;
using ::testing::HasSubstr;

const std::vector<PoolShape> kShapes{
    {.n = 3, .h = 24, .w = 24, .c = 64, .kh = 2, .kw = 2, .stride_h = 2, .stride_w = 2},
    {.n = 2, .h = 5, .w = 7, .c = 3, .kh = 2, .kw = 2, .stride_h = 2, .stride_w = 2},
    {.n = 1, .h = 4, .w = 4, .c = 1, .kh = 2, .kw = 2, .stride_h = 1, .stride_w = 1},
    {.n = 2, .h = 9, .w = 8, .c = 17, .kh = 3, .kw = 3, .stride_h = 2, .stride_w = 2, .padding = 1},
    {.n = 2, .h = 6, .w = 11, .c = 32, .kh = 3, .kw = 2, .stride_h = 1, .stride_w = 3, .padding = {1, 0}},
    {.n = 2, .h = 6, .w = 5, .c = 9, .kh = 2, .kw = 2, .stride_h = 1, .stride_w = 1, .padding = {0, 0, 1, 1}},
    {.n = 2, .h = 9, .w = 7, .c = 16, .kh = 2, .kw = 3, .stride_h = 2, .stride_w = 1, .padding = {1, 0, 0, 1}},
    {.n = 3, .h = 7, .w = 9, .c = 5, .kh = 5, .kw = 4, .stride_h = 3, .stride_w = 2, .padding = {0, 2, 2, 1}},
    {.n = 5, .h = 7, .w = 7, .c = 10, .kh = 7, .kw = 7},
    {.n = 1, .h = 16, .w = 16, .c = 2, .kh = 16, .kw = 16},
    {.n = 3, .h = 9, .w = 9, .c = 8, .kh = 3, .kw = 3, .stride_h = 3, .stride_w = 3},
    {.n = 7, .h = 3, .w = 3, .c = 5, .kh = 1, .kw = 1, .stride_h = 2, .stride_w = 2},
    {.n = 130, .h = 8, .w = 8, .c = 33, .kh = 2, .kw = 2, .stride_h = 2, .stride_w = 2},
    {.n = 300, .h = 5, .w = 5, .c = 33, .kh = 3, .kw = 3},  // slices of images that do not end at whole mask bytes
};

std::string describe(const PoolShape& s) {
  std::ostringstream text;
  text << s.n << " x " << s.h << " x " << s.w << " x " << s.c << ", window " << s.kh << " x " << s.kw << ", stride "
       << s.stride_h << " x " << s.stride_w << ", padding " << s.padding;
  return text.str();
}

// Calls fn(out, in, index) for every output, in order, and every pixel of its window that lies in the image.
template <typename Fn>
void for_each_in_window(const PoolShape& s, Fn fn) {
  std::int64_t out = 0;
  for (std::int64_t n = 0; n < s.n; ++n) {
    for (std::int64_t oh = 0; oh < s.out_h(); ++oh) {
      for (std::int64_t ow = 0; ow < s.out_w(); ++ow) {
        for (std::int64_t c = 0; c < s.c; ++c, ++out) {
          for (std::int64_t k = 0; k < s.kh * s.kw; ++k) {
            const std::int64_t h = oh * s.stride_h - s.padding.top + k / s.kw;
            const std::int64_t w = ow * s.stride_w - s.padding.left + k % s.kw;
            if (h >= 0 && h < s.h && w >= 0 && w < s.w) {
              const std::int64_t in = ((n * s.h + h) * s.w + w) * s.c + c;
              fn(static_cast<std::size_t>(out), static_cast<std::size_t>(in), k);
            }
          }
        }
      }
    }
  }
}

// Few different values, so that there are ties; none is above 0, so that padding would win if it could.
template <typename T>
std::vector<T> input_of(const PoolShape& s) {
  std::vector<T> x;
  for (const std::uint8_t v : testing::random_bytes(s.n * s.input_row(), 7, 9)) {
    x.push_back(std::is_same_v<T, std::uint8_t> ? static_cast<T>(v) : static_cast<T>(-static_cast<float>(v) - 1));
  }
  return x;
}

template <typename T>
class MaxPool : public ::testing::Test {};
using Values = ::testing::Types<float, double, bfloat16, std::uint8_t>;
TYPED_TEST_SUITE(MaxPool, Values);

TYPED_TEST(MaxPool, ForwardAndArgmaxTakeTheFirstOfEqualPixels) {
  using T = TypeParam;
  for (const PoolShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    const std::vector<T> x = input_of<T>(s);
    const auto outputs = static_cast<std::size_t>(s.n * s.output_row());
    std::vector<T> expected(outputs);
    std::vector<int> winners(outputs, -1);
    for_each_in_window(s, [&](std::size_t out, std::size_t in, std::int64_t k) {
      if (winners[out] < 0 || x[in] > expected[out]) {
        expected[out] = x[in];
        winners[out] = static_cast<int>(k);
      }
    });
    std::vector<T> y(outputs);
    std::vector<std::uint8_t> argmax(outputs);
    max_pool_forward(s, x.data(), y.data(), argmax.data());
    expect_same_bits("y", y, expected);
    for (std::size_t i = 0; i < outputs; ++i) {
      ASSERT_EQ(argmax[i], winners[i]) << "argmax at " << i;
    }
    std::vector<T> without(outputs);
    max_pool_forward(s, x.data(), without.data(), nullptr);
    expect_same_bits("y without argmax", without, expected);
  }
}

template <typename T>
void check_max_backward() {
  for (const PoolShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    const std::vector<std::uint8_t> small = testing::random_bytes(s.n * s.output_row(), 8, 17);
    std::vector<T> dy;
    for (const std::uint8_t v : small) {
      dy.push_back(static_cast<T>(static_cast<float>(v) - 8));  // sums are exact in every type
    }
    std::vector<T> y(dy.size());
    std::vector<std::uint8_t> argmax(dy.size());
    max_pool_forward(s, input_of<T>(s).data(), y.data(), argmax.data());
    std::vector<double> expected(static_cast<std::size_t>(s.n * s.input_row()));
    for_each_in_window(s, [&](std::size_t out, std::size_t in, std::int64_t k) {
      expected[in] += argmax[out] == k ? static_cast<double>(dy[out]) : 0;
    });
    std::vector<T> dx(expected.size(), static_cast<T>(99.0F));
    max_pool_backward(s, dy.data(), argmax.data(), dx.data());
    testing::expect_close("dx", dx, expected, 0);
  }
}

TEST(MaxPoolBackward, SumsOfTheWindowsThatWereWon) {
  check_max_backward<float>();
  check_max_backward<double>();
  check_max_backward<bfloat16>();
}

TEST(MaxPoolEdges, NaNWinsAndInfinitiesCompare) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<std::vector<float>> windows{{1, kNaN, 3, 4},
                                                {kNaN, 2, 3, 4},
                                                {1, 2, 3, kNaN},
                                                {-kInfinity, -kInfinity, -kInfinity, -kInfinity},
                                                {1, kInfinity, 3, kInfinity}};
  const std::vector<std::uint8_t> winners{1, 0, 3, 0, 1};
  for (std::size_t i = 0; i < windows.size(); ++i) {
    const PoolShape whole = PoolShape::global(1, 2, 2, 1);
    PoolShape as_line = PoolShape::global(1, 1, 4, 1);
    for (const PoolShape& s : {whole, as_line}) {
      float y = 0;
      std::uint8_t argmax = 9;
      max_pool_forward(s, windows[i].data(), &y, &argmax);
      EXPECT_EQ(argmax, winners[i]) << "window " << i << ", " << describe(s);
      EXPECT_EQ(std::memcmp(&y, &windows[i][winners[i]], sizeof(y)), 0) << "window " << i << ": " << y;
    }
  }
}

template <typename T>
void check_avg(double tolerance) {
  for (const PoolShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    const std::vector<T> x = testing::random_reals<T>(s.n * s.input_row(), 9);
    const std::vector<T> dy = testing::random_reals<T>(s.n * s.output_row(), 10);
    std::vector<double> expected(dy.size());
    std::vector<double> expected_dx(x.size());
    for_each_in_window(s, [&](std::size_t out, std::size_t in, std::int64_t) {
      expected[out] += static_cast<double>(x[in]) / static_cast<double>(s.window());
      expected_dx[in] += static_cast<double>(dy[out]) / static_cast<double>(s.window());
    });
    std::vector<T> y(dy.size());
    std::vector<T> dx(x.size(), T{99});
    avg_pool_forward(s, x.data(), y.data());
    avg_pool_backward(s, dy.data(), dx.data());
    testing::expect_close("y", y, expected, tolerance);
    testing::expect_close("dx", dx, expected_dx, tolerance);
  }
}

TEST(AvgPool, ForwardAndBackwardCountPadding) {
  check_avg<float>(1e-6);
  check_avg<double>(1e-14);
}

TEST(AvgPool, BackwardInBfloat16IsRoundedAtEachAddition) {
  for (const PoolShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    std::vector<bfloat16> dy;
    for (const float g : testing::random_reals<float>(s.n * s.output_row(), 10)) {
      dy.push_back(bfloat16(g));
    }
    std::vector<double> expected(static_cast<std::size_t>(s.n * s.input_row())), size(expected.size());
    for_each_in_window(s, [&](std::size_t out, std::size_t in, std::int64_t) {
      const double share = static_cast<double>(static_cast<float>(dy[out])) / static_cast<double>(s.window());
      expected[in] += share;
      size[in] += std::abs(share);
    });
    std::vector<bfloat16> dx(expected.size(), bfloat16(99.0F));
    avg_pool_backward(s, dy.data(), dx.data());
    for (std::size_t i = 0; i < dx.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(static_cast<float>(dx[i])), expected[i], 0.01 * size[i]) << "element " << i;
    }
  }
}

TEST(AvgPool, CodesAreTheRequantizedSums) {
  const ScaleZero input{0.05F, 31};
  const ScaleZero output{0.043F, 29};
  for (const PoolShape& s : kShapes) {
    for (const bool shifted : {false, true}) {
      SCOPED_TRACE(describe(s));
      const ScaleZero out_map = shifted ? ScaleZero{0.004F, 200} : output;  // the other one saturates
      const std::vector<std::uint8_t> x = testing::random_bytes(s.n * s.input_row(), 11);
      const std::int64_t outputs = s.n * s.output_row();
      const auto count = static_cast<std::size_t>(outputs);
      std::vector<std::int32_t> sums(count);
      for_each_in_window(s,
                         [&](std::size_t out, std::size_t in, std::int64_t) { sums[out] += x[in] - input.zero_point; });
      const Requantization r = make_average_requantization(input, s.window(), s.c, out_map, unsigned_codes(8));
      std::vector<std::uint8_t> expected(count);
      std::vector<std::uint8_t> expected_mask(static_cast<std::size_t>(mask_bytes(outputs)));
      MinMax expected_seen;
      requantize(sums.data(), outputs / s.c, r, expected.data(), expected_mask.data(), &expected_seen);
      std::vector<std::uint8_t> y(count);
      std::vector<std::uint8_t> mask(expected_mask.size(), 0xff);
      MinMax seen;
      ThreadPool(3).run([&] { avg_pool_codes(s, x.data(), input.zero_point, r, y.data(), mask.data(), &seen); });
      expect_same_bits("codes", y, expected);
      expect_same_bits("mask", mask, expected_mask);
      EXPECT_EQ(seen, expected_seen);
      const double real = static_cast<double>(sums[0]) * double{input.scale} / static_cast<double>(s.window());
      const double code = std::clamp(std::nearbyint(real / double{out_map.scale}) + out_map.zero_point, 0.0, 255.0);
      EXPECT_NEAR(y[0], code, 1.0) << "the map itself";
    }
  }
}

TEST(AvgPool, HandsOnTheSumsOfEverySlice) {
  for (const PoolShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    const std::vector<std::uint8_t> x = testing::random_bytes(s.n * s.input_row(), 17);
    std::vector<std::int32_t> expected(static_cast<std::size_t>(s.n * s.output_row()));
    for_each_in_window(s, [&](std::size_t out, std::size_t in, std::int64_t) { expected[out] += x[in] - 7; });
    std::vector<std::int32_t> sums(expected.size(), -1);
    std::vector<int> calls(static_cast<std::size_t>(avg_pool_slices(s)), 0);
    ThreadPool(3).run([&] {
      avg_pool_sums(s, x.data(), 7, [&](std::int64_t slice, Range images, const std::int32_t* acc) {
        EXPECT_EQ(images.begin * s.output_row() % 8, 0);
        std::copy_n(acc, images.size() * s.output_row(), sums.data() + images.begin * s.output_row());
        ++calls[static_cast<std::size_t>(slice)];
      });
    });
    EXPECT_EQ(sums, expected);
    EXPECT_EQ(calls, std::vector<int>(calls.size(), 1));
  }
}

TEST(MaxPool, TakesWhatStandsWhereAnotherTensorWon) {
  for (const PoolShape& s : kShapes) {
    SCOPED_TRACE(describe(s));
    const std::vector<std::uint8_t> codes = testing::random_bytes(s.n * s.input_row(), 19);
    const auto outputs = static_cast<std::size_t>(s.n * s.output_row());
    std::vector<std::uint8_t> y(outputs), argmax(outputs);
    max_pool_forward(s, codes.data(), y.data(), argmax.data());
    std::vector<std::int32_t> x(codes.size());
    std::iota(x.begin(), x.end(), 1000);
    std::vector<std::int32_t> expected(outputs), won(outputs, -1);
    for_each_in_window(s, [&](std::size_t out, std::size_t in, std::int64_t index) {
      if (index == argmax[out]) {
        expected[out] = x[in];
      }
    });
    take_winners(s, x.data(), argmax.data(), won.data());
    EXPECT_EQ(won, expected);
  }
}

TEST(Pool, SameBitsOnAnyNumberOfThreads) {
  const PoolShape s{.n = 40, .h = 20, .w = 20, .c = 24, .kh = 3, .kw = 3, .stride_h = 2, .stride_w = 2};
  const std::vector<float> x = testing::random_reals<float>(s.n * s.input_row(), 12);
  const auto outputs = static_cast<std::size_t>(s.n * s.output_row());
  testing::expect_same_on_threads<float>("avg_pool_forward", [&] {
    std::vector<float> y(outputs);
    avg_pool_forward(s, x.data(), y.data());
    return y;
  });
  testing::expect_same_on_threads<float>("max_pool_backward", [&] {
    std::vector<float> y(outputs);
    std::vector<std::uint8_t> argmax(outputs);
    max_pool_forward(s, x.data(), y.data(), argmax.data());
    std::vector<float> dx(x.size());
    max_pool_backward(s, y.data(), argmax.data(), dx.data());
    return dx;
  });
}

template <typename T>
void expect_last_nan_wins(const PoolShape& s, const std::string& type) {
  std::vector<T> x(static_cast<std::size_t>(s.input_row()), static_cast<T>(1.0F));
  const auto nan = static_cast<T>(std::nanf(""));
  x[static_cast<std::size_t>(s.c)] = nan;  // the second pixel
  x[static_cast<std::size_t>(s.w * s.c)] = nan;
  x[static_cast<std::size_t>(s.w * s.c + 1)] = static_cast<T>(9.0F);  // of another channel
  std::vector<T> y(static_cast<std::size_t>(s.output_row()));
  std::vector<std::uint8_t> argmax(y.size());
  max_pool_forward(s, x.data(), y.data(), argmax.data());
  EXPECT_TRUE(std::isnan(static_cast<float>(y[0]))) << type << ", " << describe(s);
  EXPECT_EQ(argmax[0], s.kw) << type << ", " << describe(s);
  EXPECT_EQ(static_cast<float>(y[1]), 9.0F) << type << ", " << describe(s);
  EXPECT_EQ(argmax[1], s.kw) << type << ", " << describe(s);
}

TEST(MaxPool, TheLastNaNOfAWindowWinsInValueAndPlace) {
  for (const PoolShape& s :
       {PoolShape{.h = 2, .w = 2, .c = 19, .kh = 2, .kw = 2}, PoolShape{.h = 3, .w = 3, .c = 19, .kh = 3, .kw = 3}}) {
    expect_last_nan_wins<float>(s, "float");
    expect_last_nan_wins<double>(s, "double");
    expect_last_nan_wins<bfloat16>(s, "bfloat16");
  }
}

TEST(Pool, RefusesShapesThatDoNotFit) {
  const PoolShape good{.n = 1, .h = 4, .w = 4, .c = 1, .kh = 2, .kw = 2};
  EXPECT_NO_THROW(good.validate());
  const auto error = [&](auto change) {
    PoolShape s = good;
    change(s);
    return error_of([&] { s.validate(); });
  };
  EXPECT_THAT(error([](PoolShape& s) { s.kh = 5; }), HasSubstr("fits into the image of 4 x 4 pixels, got 5 x 2"));
  EXPECT_THAT(error([](PoolShape& s) { s.padding = {0, 2}; }), HasSubstr("at most half the window 2 x 2, got 0 x 2"));
  EXPECT_THAT(error([](PoolShape& s) { s.padding = {-1, 0}; }), HasSubstr("got -1 x 0"));
  EXPECT_THAT(error([](PoolShape& s) { s.stride_w = 0; }), HasSubstr("strides 1 x 0"));
  EXPECT_THAT(error([](PoolShape& s) { s.c = 0; }), HasSubstr("got 4 x 4 x 0"));
  const PoolShape large = PoolShape::global(1, 17, 16, 1);
  std::vector<float> x(17 * 16);
  float y = 0;
  EXPECT_THAT(error_of([&] { max_pool_forward(large, x.data(), &y, nullptr); }),
              HasSubstr("at most 256 pixels, got 17 x 16"));
}

}  // namespace
}  // namespace detent::kernels::pool_test
