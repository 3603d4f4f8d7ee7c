#include "detent/kernels/codes/lookup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "detent/core/philox.h"
#include "detent/kernels/codes/quantize.h"

namespace detent::kernels::lookup_test {
namespace {

std::vector<std::uint8_t> random_codes(std::size_t count, std::uint64_t seed) {
  RandomStream random(seed, "codes");
  std::vector<std::uint8_t> codes(count);
  std::ranges::generate(codes, [&] { return static_cast<std::uint8_t>(random.index(256)); });
  return codes;
}

/// All 256 codes, and every number of them that is left beside whole vectors.
TEST(Lookup, GivesTheTablesCodeOfEveryCode) {
  const auto table = random_codes(256, 1);
  std::vector<std::uint8_t> all(256), y(256);
  for (std::size_t q = 0; q < 256; ++q) {
    all[q] = static_cast<std::uint8_t>(q);
  }
  lookup(table.data(), all.data(), 1, 256, y.data(), 256);
  EXPECT_EQ(y, table);
  for (std::int64_t count = 0; count <= 200; ++count) {
    const auto x = random_codes(static_cast<std::size_t>(count), 2);
    std::vector<std::uint8_t> some(static_cast<std::size_t>(count) + 1, 77);
    lookup(table.data(), x.data(), 1, count, some.data(), count);
    for (std::size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(some[i], table[x[i]]) << "code " << i << " of " << count;
    }
    EXPECT_EQ(some.back(), 77) << "wrote behind " << count;
  }
}

TEST(Lookup, WritesRowsApart) {
  const auto table = random_codes(256, 1);
  for (const std::int64_t columns : {1, 7, 64, 70}) {
    const auto x = random_codes(static_cast<std::size_t>(5 * columns), 3);
    const std::int64_t stride = columns + 9;
    std::vector<std::uint8_t> y(static_cast<std::size_t>(5 * stride), 77);
    lookup(table.data(), x.data(), 5, columns, y.data(), stride);
    for (std::int64_t i = 0; i < 5 * stride; ++i) {
      const std::int64_t column = i % stride;
      const auto from = static_cast<std::size_t>(i / stride * columns + column);
      ASSERT_EQ(y[static_cast<std::size_t>(i)], column < columns ? table[x[from]] : 77) << columns << " columns, " << i;
    }
  }
}

TEST(Lookup, WorksInPlace) {
  const auto table = random_codes(256, 1);
  const auto x = random_codes(333, 4);
  auto y = x, expected = x;
  std::ranges::transform(x, expected.begin(), [&](std::uint8_t q) { return table[q]; });
  lookup(table.data(), y.data(), 3, 111, y.data(), 111);
  EXPECT_EQ(y, expected);
}

TEST(Lookup, HasATableAChannel) {
  const auto tables = random_codes(5 * 256, 1);
  const auto x = random_codes(7 * 5, 2);
  std::vector<std::uint8_t> y(x.size());
  lookup_by_channel(tables.data(), x.data(), 7, 5, y.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(y[i], tables[i % 5 * 256 + x[i]]) << i;
  }
}

/// table[q] = quantize(f(dequantize(q))): f in double, rounded once.
TEST(CodeTable, IsTheFunctionOfWhatCodesMean) {
  const ScaleZero from{0.05F, 100}, to{0.01F, 3};
  const CodeRange codes{0, 127};
  const CodeTable table = make_code_table([](double x) { return std::tanh(x); }, from, to, codes);
  for (std::int32_t q = 0; q < 256; ++q) {
    const auto real = static_cast<float>(std::tanh(double{dequantize(q, from)}));
    EXPECT_EQ(int{table[static_cast<std::size_t>(q)]}, detent::quantize(real, to, codes)) << q;
  }
  EXPECT_FALSE(is_identity(table));
}

TEST(CodeTable, OfOneMapIsTheIdentity) {
  RandomStream random(1, "maps");
  for (int i = 0; i < 1000; ++i) {
    const ScaleZero map{std::ldexp(1.0F + random.uniform(), static_cast<int>(random.index(120)) - 60),
                        static_cast<std::int32_t>(random.index(256))};
    EXPECT_TRUE(is_identity(requantization_table(map, map, CodeRange()))) << map.scale << ", " << map.zero_point;
  }
  // Of fewer bits, for the codes that there are.
  const CodeTable few = requantization_table({0.1F, 3}, {0.1F, 3}, unsigned_codes(4));
  EXPECT_TRUE(is_identity(few, 15));
  EXPECT_FALSE(is_identity(few));
}

}  // namespace
}  // namespace detent::kernels::lookup_test
