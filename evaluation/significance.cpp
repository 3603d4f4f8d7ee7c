#include "detent/evaluation/significance.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "detent/core/error.h"

namespace detent::evaluation {
namespace {

constexpr double kZ = 1.959964;  // 97.5 % of the normal distribution lie below
// 97.5 % of Student's distributions lie below, by degrees of freedom from 1.
constexpr std::array kStudent{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                              2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
                              2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045};

}  // namespace

Spread spread_of(std::span<const double> numbers) {
  check(!numbers.empty(), "spread: expected at least one number");
  const auto count = static_cast<double>(numbers.size());
  Spread spread{.mean = std::accumulate(numbers.begin(), numbers.end(), 0.0) / count,
                .min = std::ranges::min(numbers),
                .max = std::ranges::max(numbers)};
  double squares = 0.0;
  for (const double number : numbers) {
    squares += (number - spread.mean) * (number - spread.mean);
  }
  spread.deviation = numbers.size() > 1 ? std::sqrt(squares / (count - 1.0)) : 0.0;
  return spread;
}

Interval wilson_interval(double accuracy, std::int64_t examples) {
  check(examples >= 1, "interval: expected at least one example, got ", examples);
  const auto n = static_cast<double>(examples);
  const double middle = accuracy + kZ * kZ / (2.0 * n);
  const double reach = kZ * std::sqrt(accuracy * (1.0 - accuracy) / n + kZ * kZ / (4.0 * n * n));
  const double whole = 1.0 + kZ * kZ / n;
  return {std::max(0.0, (middle - reach) / whole), std::min(1.0, (middle + reach) / whole)};
}

Interval student_interval(std::span<const double> numbers) {
  check(numbers.size() >= 2 && numbers.size() <= kStudent.size() + 1, "interval: expected 2 to ", kStudent.size() + 1,
        " numbers, got ", numbers.size());
  const Spread spread = spread_of(numbers);
  const double reach = kStudent[numbers.size() - 2] * spread.deviation / std::sqrt(static_cast<double>(numbers.size()));
  return {spread.mean - reach, spread.mean + reach};
}

Interval normal_interval(const Spread& spread, std::size_t n) {
  check(n >= 1, "interval: expected at least one number");
  const double reach = kZ * spread.deviation / std::sqrt(static_cast<double>(n));
  return {spread.mean - reach, spread.mean + reach};
}

double exact_binomial(std::int64_t a, std::int64_t b) {
  const auto tosses = static_cast<double>(a + b);
  const std::int64_t fewer = std::min(a, b);
  const auto choices = [&](double k) {  // the logarithm of tosses over k
    return std::lgamma(tosses + 1.0) - std::lgamma(k + 1.0) - std::lgamma(tosses - k + 1.0);
  };
  double tail = 0.0;
  for (std::int64_t k = 0; k <= fewer; ++k) {
    tail += std::exp(choices(static_cast<double>(k)) - tosses * std::log(2.0));
  }
  return std::min(1.0, 2.0 * tail);
}

PairedTest paired_test(std::span<const std::int32_t> first, std::span<const std::int32_t> second,
                       std::span<const std::int32_t> labels) {
  check(first.size() == labels.size() && second.size() == labels.size(), "paired test: expected predictions for ",
        labels.size(), " examples, got ", first.size(), " and ", second.size());
  PairedTest test;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const bool first_is_right = first[i] == labels[i];
    const bool second_is_right = second[i] == labels[i];
    test.lost += first_is_right && !second_is_right ? 1 : 0;
    test.won += second_is_right && !first_is_right ? 1 : 0;
    test.changed += first[i] != second[i] ? 1 : 0;
  }
  test.p_value = exact_binomial(test.lost, test.won);
  return test;
}

Interval paired_interval(std::int64_t lost, std::int64_t won, std::int64_t examples) {
  check(examples >= 1 && lost >= 0 && won >= 0 && lost + won <= examples, "interval: expected counts of ", examples,
        " examples, got ", lost, " lost and ", won, " won");
  const double n = static_cast<double>(examples) + 2.0;
  const double difference = static_cast<double>(won - lost) / n;
  const double variance = static_cast<double>(lost + won + 1) / n - difference * difference;
  const double reach = kZ * std::sqrt(std::max(variance, 0.0) / n);
  return {std::max(-1.0, difference - reach), std::min(1.0, difference + reach)};
}

}  // namespace detent::evaluation
