#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "detent/core/philox.h"
#include "detent/core/threads/parallel.h"

/// Random numbers and comparisons that the tests of the kernels on single elements, windows and rows share.
namespace detent::kernels::testing {

template <typename T>
std::vector<T> random_reals(std::int64_t count, std::uint64_t seed, double low = -1, double high = 1) {
  RandomStream random(seed, "pointwise");
  std::vector<T> x(static_cast<std::size_t>(count));
  for (T& v : x) {
    v = static_cast<T>(low + (high - low) * static_cast<double>(random.bits()) * 0x1p-32);
  }
  return x;
}

inline std::vector<std::uint8_t> random_bytes(std::int64_t count, std::uint64_t seed, std::uint32_t values = 256) {
  RandomStream random(seed, "pointwise bytes");
  std::vector<std::uint8_t> x(static_cast<std::size_t>(count));
  for (std::uint8_t& v : x) {
    v = static_cast<std::uint8_t>(random.index(values));
  }
  return x;
}

/// Any bits, so also subnormal numbers, infinities and NaN.
inline std::vector<float> random_bit_patterns(std::int64_t count, std::uint64_t seed) {
  RandomStream random(seed, "pointwise bits");
  std::vector<float> x(static_cast<std::size_t>(count));
  for (float& v : x) {
    v = std::bit_cast<float>(random.bits());
  }
  return x;
}

template <typename T>
void expect_same_bits(const std::string& what, const std::vector<T>& actual, const std::vector<T>& expected) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(std::memcmp(&actual[i], &expected[i], sizeof(T)), 0)
        << what << " at " << i << ": expected " << +expected[i] << ", actual " << +actual[i];
  }
}

/// |actual - expected| <= tolerance * max(1, |expected|)
template <typename T, typename U>
void expect_close(const std::string& what, const std::vector<T>& actual, const std::vector<U>& expected,
                  double tolerance) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double a = static_cast<double>(actual[i]);
    const double e = static_cast<double>(expected[i]);
    ASSERT_LE(std::abs(a - e), tolerance * std::max(1.0, std::abs(e)))
        << what << " at " << i << ": expected " << e << ", actual " << a;
  }
}

/// The result of `compute` on 1 and on 3 threads is the same to the bit.
template <typename T>
void expect_same_on_threads(const std::string& what, const std::function<std::vector<T>()>& compute) {
  std::vector<T> one;
  std::vector<T> three;
  ThreadPool(1).run([&] { one = compute(); });
  ThreadPool(3).run([&] { three = compute(); });
  expect_same_bits(what + " on 3 threads", three, one);
}

/// Compares `gradient` with central differences of `loss` in each element of `x`, which is left as it was.
inline void expect_gradient(const std::string& what, std::vector<double>* x, const std::vector<double>& gradient,
                            const std::function<double()>& loss) {
  constexpr double kStep = 1e-5;
  ASSERT_EQ(x->size(), gradient.size()) << what;
  for (std::size_t i = 0; i < x->size(); ++i) {
    const double kept = (*x)[i];
    (*x)[i] = kept + kStep;
    const double above = loss();
    (*x)[i] = kept - kStep;
    const double below = loss();
    (*x)[i] = kept;
    const double expected = (above - below) / (2 * kStep);
    ASSERT_NEAR(gradient[i], expected, 1e-6 * std::max(1.0, std::abs(expected))) << what << " at " << i;
  }
}

inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += a[i] * b[i];
  }
  return sum;
}

/// The text of the Error that `fn` throws; empty where it throws none.
inline std::string error_of(const std::function<void()>& fn) {
  try {
    fn();
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

}  // namespace detent::kernels::testing
