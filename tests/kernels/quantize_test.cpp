#include "detent/kernels/codes/quantize.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "detent/core/dtype.h"
#include "tests/kernels/pointwise.h"
#include "tests/places.h"

namespace detent::kernels::quantize_test {
namespace {

using testing::error_of;
using testing::expect_same_bits;
using ::testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// DESIGN 5 in the words of the standard library, whose rounding mode is to nearest, ties to even.
double unclamped_code(float x, ScaleZero map) {
  return static_cast<double>(std::nearbyint(x / map.scale)) + map.zero_point;
}

std::int32_t reference_quantize(float x, ScaleZero map, CodeRange codes) {
  const double code = unclamped_code(x, map);
  return !(code > codes.qmin) ? codes.qmin : code > codes.qmax ? codes.qmax : static_cast<std::int32_t>(code);
}

bool bit_of(const std::vector<std::uint8_t>& mask, std::size_t i) { return (mask[i / 8] >> (i % 8) & 1) != 0; }

std::vector<CodeRange> all_ranges() {
  std::vector<CodeRange> ranges;
  for (int bits = 2; bits <= 8; ++bits) {
    ranges.push_back(unsigned_codes(bits));
    ranges.push_back(signed_codes(bits));
  }
  return ranges;
}

std::string describe(ScaleZero map, CodeRange codes) {
  std::ostringstream text;
  text << "scale " << map.scale << ", zero point " << map.zero_point << ", codes [" << codes.qmin << ", " << codes.qmax
       << "]";
  return text.str();
}

const std::vector<float> kScales{1.0F, 0.5F, 0.1F, 0.0078125F, 0.003921569F, 1.1920929e-7F, 3e-38F, 12345.678F, 1e30F};

TEST(Codes, RangesOfEveryWidth) {
  EXPECT_EQ(unsigned_codes(8), (CodeRange{0, 255}));
  EXPECT_EQ(signed_codes(8), (CodeRange{-127, 127}));
  EXPECT_EQ(unsigned_codes(2), (CodeRange{0, 3}));
  EXPECT_EQ(signed_codes(2), (CodeRange{-1, 1}));
  EXPECT_EQ(unsigned_codes(1), (CodeRange{0, 1}));
  EXPECT_EQ(signed_codes(1), (CodeRange{-1, 1})) << "the signs";
  EXPECT_THAT(error_of([] { unsigned_codes(0); }), HasSubstr("expected 1 to 8 bits, got 0"));
  EXPECT_THAT(error_of([] { signed_codes(9); }), HasSubstr("expected 1 to 8 bits, got 9"));
}

TEST(Quantize, EveryGridPointIsFixedAndZeroIsTheZeroPoint) {
  for (const CodeRange codes : all_ranges()) {
    for (const float scale : kScales) {
      for (std::int32_t zero = codes.qmin; zero <= codes.qmax; ++zero) {
        const ScaleZero map{scale, zero};
        ASSERT_EQ(quantize(0.0F, map, codes), zero) << describe(map, codes);
        for (std::int32_t q = codes.qmin; q <= codes.qmax; q += (q - codes.qmin) % 7 + 1) {
          ASSERT_EQ(quantize(dequantize(q, map), map, codes), q) << describe(map, codes);
        }
      }
    }
  }
}

TEST(Quantize, TiesGoToEvenBeforeTheZeroPointIsAdded) {
  const CodeRange codes = unsigned_codes(8);
  const std::vector<std::pair<float, std::int32_t>> cases{{0.5F, 11},  {1.5F, 13}, {2.5F, 13}, {3.5F, 15},
                                                          {-0.5F, 11}, {-1.5F, 9}, {-2.5F, 9}};
  for (const auto& [x, expected] : cases) {
    EXPECT_EQ(quantize(x, {1.0F, 11}, codes), expected) << x;
  }
}

TEST(Quantize, DividesInsteadOfMultiplyingByTheReciprocal) {
  // x * (1 / scale) is 127.5, which would round to 128 (FBGEMM, QuantUtils.h).
  EXPECT_EQ(quantize(0.273939937F, {0.00214854861F, 0}, unsigned_codes(8)), 127);
}

TEST(Quantize, NaNIsTheSmallestCodeAndInfinitiesSaturate) {
  for (const CodeRange codes : all_ranges()) {
    const ScaleZero map{0.1F, codes.qmax / 2};
    EXPECT_EQ(quantize(kNaN, map, codes), codes.qmin);
    EXPECT_EQ(quantize(kInfinity, map, codes), codes.qmax);
    EXPECT_EQ(quantize(-kInfinity, map, codes), codes.qmin);
    EXPECT_EQ(quantize(std::numeric_limits<float>::max(), map, codes), codes.qmax);
    EXPECT_EQ(quantize(-std::numeric_limits<float>::max(), map, codes), codes.qmin);
    EXPECT_EQ(quantize(std::numeric_limits<float>::denorm_min(), map, codes), map.zero_point);
  }
}

TEST(Quantize, AgreesWithTheStandardLibraryAroundEveryBorder) {
  for (const CodeRange codes : all_ranges()) {
    for (const float scale : kScales) {
      for (const std::int32_t zero : {codes.qmin, (codes.qmin + codes.qmax) / 2 + 1, codes.qmax}) {
        const ScaleZero map{scale, zero};
        for (std::int32_t q = codes.qmin - 3; q <= codes.qmax + 3; ++q) {
          const float border = scale * (static_cast<float>(q - zero) + 0.5F);
          for (const float x : {std::nextafter(border, -kInfinity), border, std::nextafter(border, kInfinity)}) {
            ASSERT_EQ(quantize(x, map, codes), reference_quantize(x, map, codes)) << x << ", " << describe(map, codes);
          }
        }
      }
    }
  }
}

TEST(Quantize, IsMonotoneIdempotentAndOffByAtMostHalfAScale) {
  const CodeRange codes = unsigned_codes(8);
  const ScaleZero map{0.037F, 91};
  std::int32_t before = codes.qmin;
  for (int i = -40000; i <= 40000; ++i) {
    const float x = static_cast<float>(i) * 2e-4F;
    const std::int32_t q = quantize(x, map, codes);
    ASSERT_GE(q, before) << x;
    before = q;
    const float back = dequantize(q, map);
    ASSERT_EQ(dequantize(quantize(back, map, codes), map), back) << x;
    if (x >= dequantize(codes.qmin, map) && x <= dequantize(codes.qmax, map)) {
      ASSERT_LE(std::abs(x - back), map.scale * 0.5F * 1.00001F) << x;
    }
  }
}

template <typename Q>
void check_whole_tensor(const std::vector<float>& x, ScaleZero map, CodeRange codes) {
  SCOPED_TRACE(describe(map, codes));
  std::vector<Q> q(x.size());
  std::vector<Q> without_mask(x.size());
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(mask_bytes(static_cast<std::int64_t>(x.size()))), 0xff);
  quantize<Q>(x, map, codes, q.data(), mask.data());
  quantize<Q>(x, map, codes, without_mask.data());
  expect_same_bits("codes without a mask", without_mask, q);
  for (std::size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(q[i], reference_quantize(x[i], map, codes)) << "x[" << i << "] = " << x[i];
    const double code = unclamped_code(x[i], map);
    ASSERT_EQ(bit_of(mask, i), code >= codes.qmin && code <= codes.qmax) << "mask of x[" << i << "] = " << x[i];
  }
  for (std::size_t i = x.size(); i < mask.size() * 8; ++i) {
    ASSERT_FALSE(bit_of(mask, i)) << "bit " << i << " past the end";
  }
  std::vector<float> back(x.size());
  dequantize<Q>(std::span<const Q>(q), map, back.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(back[i], dequantize(q[i], map)) << i;
  }
}

TEST(Quantize, WholeTensorsAreTheScalarRule) {
  std::uint64_t seed = 1;
  for (const CodeRange codes : all_ranges()) {
    for (const float scale : kScales) {
      const std::int64_t n = static_cast<std::int64_t>(seed * 37 % 1500);
      std::vector<float> x = testing::random_bit_patterns(n, ++seed);
      for (std::size_t i = 0; i < x.size(); i += 2) {  // every other one near the codes, on ties and off them
        x[i] = scale * static_cast<float>(static_cast<int>(i) % 601 - 300) * 0.5F;
      }
      const ScaleZero map{scale, codes.qmin + static_cast<std::int32_t>(seed) % (codes.qmax - codes.qmin + 1)};
      if (codes.is_signed()) {
        check_whole_tensor<std::int8_t>(x, map, codes);
      } else {
        check_whole_tensor<std::uint8_t>(x, map, codes);
      }
    }
  }
}

TEST(ChooseQParams, CoversTheRangeAndZero) {
  EXPECT_EQ(choose_qparams(0, 255, unsigned_codes(8), Scheme::Affine), (ScaleZero{1, 0}));
  EXPECT_EQ(choose_qparams(-128, 127, unsigned_codes(8), Scheme::Affine), (ScaleZero{1, 128}));
  EXPECT_EQ(choose_qparams(3, 510, unsigned_codes(8), Scheme::Affine), (ScaleZero{2, 0}));
  EXPECT_EQ(choose_qparams(-510, -3, unsigned_codes(8), Scheme::Affine), (ScaleZero{2, 255}));
  EXPECT_EQ(choose_qparams(-254, 100, signed_codes(8), Scheme::Symmetric), (ScaleZero{2, 0}));
  EXPECT_EQ(choose_qparams(-7, 14, signed_codes(4), Scheme::Symmetric), (ScaleZero{2, 0}));
  EXPECT_EQ(choose_qparams(0, 0, unsigned_codes(8), Scheme::Affine), (ScaleZero{0x1p-60F, 0}));
  EXPECT_EQ(choose_qparams(0, 0, signed_codes(8), Scheme::Symmetric), (ScaleZero{0x1p-60F, 0}));
  const ScaleZero widest = choose_qparams(-3e38F, 3e38F, unsigned_codes(8), Scheme::Affine);
  EXPECT_TRUE(std::isfinite(widest.scale)) << "a range whose width is not a float";
}

TEST(ChooseQParams, RandomRangesGiveValidMapsWhoseEndsAreCovered) {
  const std::vector<float> ends = testing::random_reals<float>(4000, 5, -9, 9);
  for (std::size_t i = 0; i < ends.size(); i += 2) {
    const float low = std::min(ends[i], ends[i + 1]);
    const float high = std::max(ends[i], ends[i + 1]);
    for (const CodeRange codes : all_ranges()) {
      const ScaleZero map = choose_qparams(low, high, codes, Scheme::Affine);
      QParams::per_tensor(map, codes).validate();
      ASSERT_LE(dequantize(codes.qmin, map), std::min(low, 0.0F) + map.scale * 0.501F) << describe(map, codes);
      ASSERT_GE(dequantize(codes.qmax, map), std::max(high, 0.0F) - map.scale * 0.501F) << describe(map, codes);
    }
  }
}

TEST(ChooseQParams, RefusesWhatIsNoRange) {
  const CodeRange codes = unsigned_codes(8);
  EXPECT_THAT(error_of([&] { choose_qparams(1, 0, codes, Scheme::Affine); }), HasSubstr("min <= max, got [1, 0]"));
  EXPECT_THAT(error_of([&] { choose_qparams(0, kInfinity, codes, Scheme::Affine); }), HasSubstr("finite range"));
  EXPECT_THAT(error_of([&] { choose_qparams(kNaN, 1, codes, Scheme::Symmetric); }), HasSubstr("finite range"));
}

TEST(QParamsTest, ValidateNamesWhatIsWrong) {
  QParams good = QParams::per_tensor({0.5F, 3}, unsigned_codes(8));
  EXPECT_NO_THROW(good.validate());
  QParams zero_scale = good;
  zero_scale.scale[0] = 0;
  EXPECT_THAT(error_of([&] { zero_scale.validate(); }), HasSubstr("finite scale > 0, got 0"));
  QParams outside = good;
  outside.zero_point[0] = 256;
  EXPECT_THAT(error_of([&] { outside.validate(); }), HasSubstr("zero point in [0, 255], got 256"));
  QParams uneven = good;
  uneven.scale.push_back(1);
  EXPECT_THAT(error_of([&] { uneven.validate(); }), HasSubstr("as many zero points as scales, got 1 and 2"));
  QParams channels{{1, 2}, {0, 0}, 0, signed_codes(8)};
  EXPECT_NO_THROW(channels.validate());
  EXPECT_THAT(error_of([&] { channels.tensor(); }), HasSubstr("one a channel"));
}

TEST(MinMaxTest, LooksAtFiniteNumbersOnly) {
  EXPECT_TRUE(min_max({}).empty());
  EXPECT_TRUE(min_max(std::vector<float>{kNaN, kInfinity, -kInfinity}).empty());
  for (std::int64_t n = 1; n < 100; ++n) {
    std::vector<float> x = testing::random_reals<float>(n, static_cast<std::uint64_t>(n));
    MinMax expected;
    for (const float v : x) {
      expected.include({v, v});
    }
    x.insert(x.begin() + n / 2, {kNaN, kInfinity, -kInfinity});
    EXPECT_EQ(min_max(x), expected) << n << " elements";
  }
  EXPECT_FALSE(std::signbit(min_max(std::vector<float>(40, -0.0F)).min)) << "-0 is 0";
}

template <typename T>
void check_apply_mask() {
  for (const std::int64_t n : {0, 1, 7, 8, 9, 64, 100, 1003}) {
    const std::vector<std::uint8_t> mask = testing::random_bytes(mask_bytes(n), 3);
    std::vector<T> dy;
    for (const float v : testing::random_reals<float>(n, 4)) {
      dy.push_back(static_cast<T>(v));
    }
    if (n > 0) {
      dy[0] = static_cast<T>(kNaN);
    }
    std::vector<T> dx(dy.size());
    apply_mask<T>(std::span<const T>(dy), mask.data(), dx.data());
    std::vector<T> expected = dy;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      expected[i] = bit_of(mask, i) ? expected[i] : T(0);
    }
    apply_mask<T>(std::span<const T>(dy), mask.data(), dy.data());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(std::memcmp(&dx[i], &expected[i], sizeof(T)), 0) << "element " << i << " of " << n;
      ASSERT_EQ(std::memcmp(&dy[i], &expected[i], sizeof(T)), 0) << "in place, element " << i << " of " << n;
    }
  }
}

TEST(ApplyMask, ClearsWhereTheBitIsClear) {
  check_apply_mask<float>();
  check_apply_mask<double>();
  check_apply_mask<bfloat16>();
}

TEST(Golden, TheExamplesOfOnnx) {
  std::ifstream file(source_path("tests/golden/quantize.txt"));
  ASSERT_TRUE(file.is_open());
  int cases = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("#")) {
      continue;
    }
    SCOPED_TRACE(line);
    std::istringstream fields(line);
    std::string kind;
    ScaleZero map;
    std::size_t count = 0;
    ASSERT_TRUE(fields >> kind >> map.scale >> map.zero_point >> count);
    std::vector<float> x(count);
    for (float& v : x) {
      ASSERT_TRUE(fields >> v);
    }
    if (kind == "dynamic") {
      const MinMax range = min_max(x);
      ASSERT_EQ(choose_qparams(range.min, range.max, unsigned_codes(8), Scheme::Affine), map);
    }
    std::vector<std::uint8_t> q(count);
    quantize<std::uint8_t>(x, map, unsigned_codes(8), q.data());
    for (std::size_t i = 0; i < count; ++i) {
      int expected = 0;
      ASSERT_TRUE(fields >> expected);
      EXPECT_EQ(q[i], expected) << "x[" << i << "] = " << x[i];
    }
    ++cases;
  }
  EXPECT_EQ(cases, 7);
}

}  // namespace
}  // namespace detent::kernels::quantize_test
