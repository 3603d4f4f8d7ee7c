// Softmax of reals and of codes.
#include "detent/kernels/layers/softmax.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/softmax_codes.h"
#include "tests/kernels/pointwise.h"

namespace detent::kernels::softmax_test {
namespace {

using testing::expect_close;
using testing::expect_gradient;
using testing::expect_same_on_threads;
using testing::random_bytes;
using testing::random_reals;

constexpr std::int64_t kWidths[] = {1, 2, 3, 10, 16, 20, 50, 63, 64, 65, 1000};

std::vector<double> plain_softmax(const std::vector<double>& x, std::int64_t channels) {
  std::vector<double> y(x.size());
  const auto width = static_cast<std::size_t>(channels);
  for (std::size_t first = 0; first < x.size(); first += width) {
    double sum = 0;
    for (std::size_t c = first; c < first + width; ++c) {
      sum += std::exp(x[c]);
    }
    for (std::size_t c = first; c < first + width; ++c) {
      y[c] = std::exp(x[c]) / sum;
    }
  }
  return y;
}

template <typename T>
std::vector<T> forward(const std::vector<T>& x, std::int64_t channels) {
  std::vector<T> y(x.size());
  softmax_forward(x.data(), static_cast<std::int64_t>(x.size()) / channels, channels, y.data());
  return y;
}

TEST(Softmax, IsThatOfItsFormula) {
  for (const std::int64_t channels : kWidths) {
    const auto x = random_reals<double>(7 * channels, 1, -5, 5);
    const std::string what = std::to_string(channels) + " channels";
    expect_close(what, forward(x, channels), plain_softmax(x, channels), 1e-14);
    const auto narrow = random_reals<float>(7 * channels, 1, -5, 5);
    expect_close(what + ", f32", forward(narrow, channels),
                 plain_softmax(std::vector<double>(narrow.begin(), narrow.end()), channels), 2e-7);
  }
}

TEST(Softmax, HoldsAtTheEndsOfF32) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(forward<float>({3e38F, 3e38F, -3e38F, 0}, 4), (std::vector<float>{0.5F, 0.5F, 0, 0}));
  EXPECT_EQ(forward<float>({-kInf, 1, -kInf, 1}, 4), (std::vector<float>{0, 0.5F, 0, 0.5F}));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInf}) {
    for (std::size_t at = 0; at < 3; ++at) {
      std::vector<float> x{1, 2, 3};
      x[at] = bad;
      EXPECT_TRUE(std::ranges::all_of(forward(x, 3), [](float y) { return std::isnan(y); })) << bad << " at " << at;
    }
  }
  EXPECT_TRUE(forward<float>({}, 3).empty());
  softmax_forward<float>(nullptr, 5, 0, nullptr);
}

TEST(Softmax, HasTheGradientOfItsFormula) {
  for (const std::int64_t channels : {1, 3, 10, 50}) {
    auto x = random_reals<double>(3 * channels, 2, -2, 2);
    const auto dy = random_reals<double>(3 * channels, 3);
    const auto y = forward(x, channels);
    std::vector<double> dx(x.size());
    softmax_backward(y.data(), dy.data(), 3, channels, dx.data());
    expect_gradient(std::to_string(channels) + " channels", &x, dx,
                    [&] { return testing::dot(forward(x, channels), dy); });
    auto in_place = dy;
    softmax_backward(y.data(), in_place.data(), 3, channels, in_place.data());
    EXPECT_EQ(in_place, dx);
  }
}

TEST(Softmax, GivesTheSameBitsOnThreads) {
  const auto x = random_reals<float>(400 * 1000, 4, -9, 9), dy = random_reals<float>(400 * 1000, 5);
  expect_same_on_threads<float>("softmax", [&] {
    auto y = forward(x, 1000);
    std::vector<float> dx(x.size());
    softmax_backward(y.data(), dy.data(), 400, 1000, dx.data());
    y.insert(y.end(), dx.begin(), dx.end());
    return y;
  });
}

// Exact numbers, rounded: what any other program must have in its table.
TEST(SoftmaxCodes, TableIsTheExponentialsToTheLastUnit) {
  const SoftmaxTable tenth = softmax_table(0.1F);
  for (const auto& [d, e] : std::vector<std::pair<std::size_t, std::int32_t>>{{0, 1073741824},
                                                                              {1, 971561778},
                                                                              {2, 879105450},
                                                                              {10, 395007536},
                                                                              {20, 145315150},
                                                                              {100, 48748},
                                                                              {200, 2},
                                                                              {255, 0}}) {
    EXPECT_EQ(tenth[d], e) << d;
  }
  for (const float scale : {0x1p-60F, 1e-6F, 0.004F, 0.0235F, 0.2F, 1.0F, 7.0F, 1e9F, 3e38F}) {
    const SoftmaxTable table = softmax_table(scale);
    EXPECT_EQ(table[0], kSoftmaxOne);
    for (std::size_t d = 1; d < table.size(); ++d) {
      ASSERT_NEAR(table[d], std::exp(-double{scale} * static_cast<double>(d)) * kSoftmaxOne, 0.501)
          << scale << ' ' << d;
      ASSERT_LE(table[d], table[d - 1]) << scale << ' ' << d;
    }
  }
}

struct Codes {
  std::int64_t channels;
  int bits;
  float scale;
  SoftmaxTable table = softmax_table(scale);
  ScaleZero output = {std::ldexp(1.0F, -bits), 0};
  CodeRange range = unsigned_codes(bits);
  std::int64_t rows = 5;
  std::vector<std::uint8_t> x = random_bytes(rows * channels, 7, static_cast<std::uint32_t>(range.qmax) + 1);

  SoftmaxCodes softmax() const { return {table.data(), output, range}; }
  std::vector<double> probabilities() const {
    std::vector<double> reals(x.size());
    std::ranges::transform(x, reals.begin(), [&](std::uint8_t q) { return double{scale} * (q - 200.0); });
    return plain_softmax(reals, channels);
  }
};

template <typename Fn>
void for_each_case(Fn fn) {
  for (const std::int64_t channels : kWidths) {
    for (const int bits : {8, 5, 2}) {
      for (const float scale : {0.001F, 0.06F, 1.5F}) {
        SCOPED_TRACE(std::to_string(channels) + " channels, " + std::to_string(bits) + " bits, " +
                     std::to_string(scale));
        fn(Codes{channels, bits, scale});
      }
    }
  }
}

TEST(SoftmaxCodes, AreTheProbabilitiesRoundedOnce) {
  for_each_case([](const Codes& c) {
    std::vector<std::uint8_t> y(c.x.size() + 1, 77);
    softmax_codes(c.softmax(), c.x.data(), c.rows, c.channels, y.data());
    EXPECT_EQ(y.back(), 77) << "wrote behind the rows";
    const auto p = c.probabilities();
    for (std::size_t i = 0; i < p.size(); ++i) {
      ASSERT_NEAR(y[i], std::min(std::ldexp(p[i], c.bits), double(c.range.qmax)), 0.5 + 1e-4) << "element " << i;
    }
    auto in_place = c.x;
    softmax_codes(c.softmax(), in_place.data(), c.rows, c.channels, in_place.data());
    y.pop_back();
    EXPECT_EQ(in_place, y);
  });
}

// The sum is one of integers: nothing is lost beside the largest, in whatever order they stand. 400,000 of 30 units.
TEST(SoftmaxCodes, SumWhatIsSmallToo) {
  std::vector<std::uint8_t> x(400'001, 26), y(x.size());
  const Codes c{static_cast<std::int64_t>(x.size()), 8, 0.1F};
  EXPECT_EQ(c.table[174], 30);
  for (const std::size_t at : {std::size_t{0}, std::size_t{7}, x.size() - 1}) {
    x[at] = 200;
    softmax_codes(c.softmax(), x.data(), 1, c.channels, y.data());
    EXPECT_EQ(y[at], 253) << "256 * 2^30 / (2^30 + 12,000,000) is 253.17, at " << at;
    EXPECT_EQ(std::ranges::count(y, 0), c.channels - 1);
    x[at] = 26;
  }
}

TEST(SoftmaxCodes, PassGradientsWhereTheCodeLiesInRange) {
  std::int64_t closed = 0;
  for_each_case([&](const Codes& c) {
    const auto dy = random_reals<float>(c.rows * c.channels, 8);
    std::vector<float> dx(dy.size());
    softmax_codes_backward(c.softmax(), c.x.data(), dy.data(), c.rows, c.channels, dx.data());
    const auto p = c.probabilities();
    std::vector<double> g(dy.begin(), dy.end()), expected(dy.size());
    for (std::size_t i = 0; i < g.size(); ++i) {
      const bool is_closed = std::ldexp(p[i], c.bits) > c.range.qmax + 0.5;
      g[i] = is_closed ? 0 : g[i];
      closed += is_closed ? 1 : 0;
    }
    const auto width = static_cast<std::size_t>(c.channels);
    for (std::size_t i = 0; i < g.size(); ++i) {
      const std::size_t first = i / width * width;
      double dot = 0;
      for (std::size_t k = first; k < first + width; ++k) {
        dot += g[k] * p[k];
      }
      expected[i] = p[i] * (g[i] - dot);
    }
    expect_close("gradient", dx, expected, 1e-6);
  });
  EXPECT_GT(closed, 0);
}

TEST(SoftmaxCodes, OfNoRowsAreNone) {
  const Codes c{10, 8, 0.1F};
  softmax_codes(c.softmax(), nullptr, 0, 10, nullptr);
  softmax_codes_backward(c.softmax(), nullptr, nullptr, 0, 10, nullptr);
}

}  // namespace
}  // namespace detent::kernels::softmax_test
