#include "detent/kernels/layers/elementwise.h"
#include "detent/core/conversion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "tests/kernels/pointwise.h"

namespace detent::kernels::elementwise_test {
namespace {

using testing::error_of;
using testing::expect_same_bits;
using ::testing::HasSubstr;
using testing::random_reals;

const std::vector<std::int64_t> kSizes{0, 1, 7, 8, 15, 16, 17, 63, 64, 65, 1000, 65536, 200003};

std::uint32_t bits_of(float x) { return std::bit_cast<std::uint32_t>(x); }
std::uint16_t bits_of(bfloat16 x) { return std::bit_cast<std::uint16_t>(x); }
std::uint16_t bits_of(float16 x) { return std::bit_cast<std::uint16_t>(x); }

// Numbers of `T` in f32 and everything that could round to the wrong side of them: ties and their neighbours.
template <typename T>
std::vector<float> numbers_and_ties() {
  std::vector<float> all;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const auto x = static_cast<float>(std::bit_cast<T>(static_cast<std::uint16_t>(bits)));
    const auto next = static_cast<float>(std::bit_cast<T>(static_cast<std::uint16_t>(bits + 1)));
    const float tie = x + (next - x) / 2;
    for (const float v : {x, tie, std::nextafter(tie, 1e38F), std::nextafter(tie, -1e38F)}) {
      all.push_back(v);
    }
  }
  const std::vector<float> random = testing::random_bit_patterns(200000, 1);
  all.insert(all.end(), random.begin(), random.end());
  return all;
}

template <typename T>
void check_narrowing() {
  const std::vector<float> x = numbers_and_ties<T>();
  std::vector<T> y(x.size());
  convert(std::span<const float>(x), y.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (std::isnan(x[i])) {
      ASSERT_TRUE(std::isnan(static_cast<float>(y[i]))) << std::hex << bits_of(x[i]);
    } else {
      ASSERT_EQ(bits_of(y[i]), bits_of(T(x[i]))) << "x = " << x[i] << ", bits " << std::hex << bits_of(x[i]);
    }
  }
}

template <typename T>
void check_widening() {
  std::vector<T> x;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    x.push_back(std::bit_cast<T>(static_cast<std::uint16_t>(bits)));
  }
  std::vector<float> y(x.size());
  convert(std::span<const T>(x), y.data());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto expected = static_cast<float>(x[i]);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(y[i])) << "bits " << std::hex << i;
    } else {
      ASSERT_EQ(bits_of(y[i]), bits_of(expected)) << "bits " << std::hex << i;
    }
  }
}

TEST(Convert, Bfloat16FromFloatToNearestEven) { check_narrowing<bfloat16>(); }
TEST(Convert, Float16FromFloatToNearestEven) { check_narrowing<float16>(); }
TEST(Convert, EveryBfloat16ToFloat) { check_widening<bfloat16>(); }
TEST(Convert, EveryFloat16ToFloat) { check_widening<float16>(); }

template <typename Q>
void check_codes() {
  std::vector<Q> q;
  for (int i = std::numeric_limits<Q>::min(); i <= std::numeric_limits<Q>::max(); ++i) {
    q.push_back(static_cast<Q>(i));
  }
  std::vector<float> real(q.size());
  std::vector<bfloat16> narrow(q.size());
  convert(std::span<const Q>(q), real.data());
  convert(std::span<const Q>(q), narrow.data());
  for (std::size_t i = 0; i < q.size(); ++i) {
    ASSERT_EQ(real[i], static_cast<float>(q[i]));
    ASSERT_EQ(static_cast<float>(narrow[i]), static_cast<float>(q[i]));
  }
}

TEST(Convert, EveryCodeIsExact) {
  check_codes<std::uint8_t>();
  check_codes<std::int8_t>();
}

TEST(ForEachSlice, CoversEveryElementOnceInMultiplesOf64) {
  for (const std::int64_t n : kSizes) {
    std::vector<std::uint8_t> visits(static_cast<std::size_t>(n));
    std::mutex mutex;
    for_each_slice(n, [&](Range r) {
      const std::lock_guard lock(mutex);
      EXPECT_EQ(r.begin % 64, 0) << n;
      EXPECT_TRUE(r.end == n || r.end % 64 == 0) << n;
      for (std::int64_t i = r.begin; i < r.end; ++i) {
        ++visits[static_cast<std::size_t>(i)];
      }
    });
    EXPECT_EQ(visits, std::vector<std::uint8_t>(static_cast<std::size_t>(n), 1)) << n;
  }
}

template <typename T>
class Arithmetic : public ::testing::Test {};
using Reals = ::testing::Types<float, double, bfloat16, float16>;
TYPED_TEST_SUITE(Arithmetic, Reals);

template <typename T, typename Fn>
std::vector<T> each(const std::vector<T>& a, const std::vector<T>& b, Fn fn) {
  using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
  std::vector<T> y(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    y[i] = static_cast<T>(fn(static_cast<Wide>(a[i]), static_cast<Wide>(b[i])));
  }
  return y;
}

TYPED_TEST(Arithmetic, EachElementAndInPlace) {
  using T = TypeParam;
  for (const std::int64_t n : kSizes) {
    const std::vector<T> a = random_reals<T>(n, 1);
    const std::vector<T> b = random_reals<T>(n, 2);
    std::vector<T> y(a.size());
    add(n, a.data(), b.data(), y.data());
    const std::vector<T> sums = each(a, b, [](auto p, auto q) { return p + q; });
    expect_same_bits("add", y, sums);
    if constexpr (!std::is_same_v<T, float16>) {
      add_relu(n, a.data(), b.data(), y.data());
      expect_same_bits("add_relu", y, each(a, b, [](auto p, auto q) { return p + q < 0 ? decltype(p){0} : p + q; }));
    }
    multiply(n, a.data(), b.data(), y.data());
    expect_same_bits("multiply", y, each(a, b, [](auto p, auto q) { return p * q; }));
    scale(n, 0.375, a.data(), y.data());
    expect_same_bits("scale", y, each(a, b, [](auto p, auto) { return decltype(p)(0.375) * p; }));
    y = b;
    axpy(n, -1.25, a.data(), y.data());
    expect_same_bits("axpy", y, each(a, b, [](auto p, auto q) {
                       const auto product = decltype(p)(-1.25) * p;
                       return q + product;
                     }));
    y = a;
    add(n, y.data(), b.data(), y.data());
    expect_same_bits("add in place of the first", y, sums);
    y = a;
    add_in_place(dtype_of<T>, n, reinterpret_cast<const std::byte*>(b.data()), reinterpret_cast<std::byte*>(y.data()));
    expect_same_bits("add_in_place", y, sums);
  }
}

TEST(AddInPlace, RefusesCodes) {
  EXPECT_THAT(error_of([] { add_in_place(DType::U8, 0, nullptr, nullptr); }), HasSubstr("got u8"));
}

TEST(HasNonFinite, FindsOneAnywhere) {
  std::vector<float> x = random_reals<float>(40000, 3, -3e38, 3e38);
  x[5] = std::numeric_limits<float>::max();
  x[6] = std::numeric_limits<float>::denorm_min();
  EXPECT_FALSE(has_non_finite(x));
  EXPECT_FALSE(has_non_finite({}));
  for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    for (std::size_t i = 0; i < x.size(); i += 997) {
      const float kept = x[i];
      x[i] = bad;
      EXPECT_TRUE(has_non_finite(x)) << bad << " at " << i;
      x[i] = kept;
    }
    x.push_back(bad);
    EXPECT_TRUE(has_non_finite(x)) << bad << " at the end";
    x.pop_back();
  }
}

template <typename T>
void check_sums() {
  for (const std::int64_t n : kSizes) {
    const std::vector<T> x = random_reals<T>(n, 4);
    double expected = 0;
    for (const T v : x) {
      expected += static_cast<double>(v);
    }
    EXPECT_NEAR(sum(n, x.data()), expected, 1e-9) << n;
    for (const std::int64_t columns : {1, 3, 10, 16, 64, 100}) {
      const std::int64_t rows = n / columns;
      std::vector<double> columns_expected(static_cast<std::size_t>(columns));
      for (std::int64_t i = 0; i < rows * columns; ++i) {
        columns_expected[static_cast<std::size_t>(i % columns)] += static_cast<double>(x[static_cast<std::size_t>(i)]);
      }
      std::vector<T> y(static_cast<std::size_t>(columns), T(99));
      sum_rows(x.data(), rows, columns, y.data());
      testing::expect_close("sum_rows of " + std::to_string(rows) + " x " + std::to_string(columns), y,
                            columns_expected, sizeof(T) == 4 ? 1e-7 : 1e-11);
    }
  }
}

TEST(Sums, AgreeWithDouble) {
  check_sums<float>();
  check_sums<double>();
}

TEST(Sums, SameBitsOnAnyNumberOfThreads) {
  const std::vector<float> x = random_reals<float>(700001, 6, -1e4, 1e4);
  testing::expect_same_on_threads<double>("sum", [&] { return std::vector<double>{sum(700001, x.data())}; });
  testing::expect_same_on_threads<float>("sum_rows", [&] {
    std::vector<float> y(7);
    sum_rows(x.data(), 100000, 7, y.data());
    return y;
  });
}

TEST(Cast, EveryPairIsTheScalarConversion) {
  const std::vector<DType> types{DType::F32, DType::F64, DType::BF16, DType::F16, DType::U8, DType::S8, DType::S32};
  const std::int64_t n = 1234;
  const auto count = static_cast<std::size_t>(n);
  std::vector<double> numbers = random_reals<double>(n, 9, 0, 100);
  for (double& v : numbers) {
    v = static_cast<double>(static_cast<int>(v));  // exact in every type
  }
  const auto fill = [&]<typename T>(T, std::vector<double>& memory) {
    std::vector<T> typed(numbers.begin(), numbers.end());
    std::memcpy(memory.data(), typed.data(), count * sizeof(T));
  };
  const auto fill_as = [&](DType dtype, std::vector<double>& memory) {
    switch (dtype) {
      case DType::F32:
        return fill(float{}, memory);
      case DType::F64:
        return fill(double{}, memory);
      case DType::BF16:
        return fill(bfloat16{}, memory);
      case DType::F16:
        return fill(float16{}, memory);
      case DType::U8:
        return fill(std::uint8_t{}, memory);
      case DType::S8:
        return fill(std::int8_t{}, memory);
      case DType::S32:
        return fill(std::int32_t{}, memory);
    }
  };
  for (const DType from : types) {
    for (const DType to : types) {
      const bool floats = is_floating(from) && is_floating(to);
      const bool codes = (from == DType::U8 || from == DType::S8) && (to == DType::F32 || to == DType::BF16);
      std::vector<double> x(count);
      std::vector<double> y(count);
      std::vector<double> expected(count);
      fill_as(from, x);
      fill_as(to, expected);
      const std::string error = error_of([&] {
        cast(from, to, n, reinterpret_cast<const std::byte*>(x.data()), reinterpret_cast<std::byte*>(y.data()));
      });
      std::ostringstream pair;
      pair << from << " to " << to;
      if (floats || codes) {
        EXPECT_EQ(error, "") << pair.str();
        EXPECT_EQ(std::memcmp(y.data(), expected.data(), count * size_of(to)), 0) << pair.str();
      } else {
        EXPECT_THAT(error, HasSubstr("got " + pair.str()));
      }
    }
  }
}

}  // namespace
}  // namespace detent::kernels::elementwise_test
