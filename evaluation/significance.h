#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

/// What can be said of accuracies that were measured on a test set of so many examples, with so many seeds.
namespace detent::evaluation {

/// From `low` to `high`.
struct Interval {
  double low = 0.0;
  double high = 0.0;
};

/// Of some numbers.
struct Spread {
  double mean = 0.0;
  double deviation = 0.0;  ///< of a sample: the sum of squares is divided by n - 1; 0 for a single number
  double min = 0.0;
  double max = 0.0;
};
/// REQUIRES: at least one number.
Spread spread_of(std::span<const double> numbers);

/// Where the true accuracy lies at a confidence of 95 %, when `accuracy` was measured on n examples (Wilson 1927):
///   z = 1.959964,  ((p + z^2 / 2n) -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)
/// It tells what other examples would have given; other seeds are another matter. REQUIRES: examples >= 1.
Interval wilson_interval(double accuracy, std::int64_t examples);

/// Where the mean over all seeds lies at a confidence of 95 %: mean -+ t deviation / sqrt(n), with t Student's for
/// n - 1 degrees of freedom. REQUIRES: 2 to 30 numbers.
Interval student_interval(std::span<const double> numbers);

/// The same of many numbers: mean -+ 1.959964 deviation / sqrt(n). REQUIRES: n >= 1.
Interval normal_interval(const Spread& spread, std::size_t n);

/// McNemar's test of two models on the same examples: of those that only one of them gets right, is each as likely to
/// be the one's as the other's?
struct PairedTest {
  std::int64_t lost = 0;     ///< the first is right, the second is not
  std::int64_t won = 0;      ///< the second is right, the first is not
  double p_value = 1.0;      ///< exact: of lost + won tosses of a fair coin, as uneven ones as these, to either side
  std::int64_t changed = 0;  ///< examples whose predictions differ, whether one is right or none
};
/// REQUIRES: as many predictions of each as labels.
PairedTest paired_test(std::span<const std::int32_t> first, std::span<const std::int32_t> second,
                       std::span<const std::int32_t> labels);
/// min(1, 2 P(X <= min(a, b))), X binomial of a + b tosses with probability 1/2.
double exact_binomial(std::int64_t a, std::int64_t b);

/// Where the difference of two models' accuracies, second minus first, lies at a confidence of 95 %, when both were
/// measured on the same n examples, of which only the first gets `lost` right and only the second `won` (Agresti, Min
/// 2005: a half is added to each of the four counts):
///   n' = n + 2,  d = (won - lost) / n',  d -+ 1.959964 sqrt((lost + won + 1) / n' - d^2) / sqrt(n')
/// within [-1, 1]. REQUIRES: examples >= 1, lost + won <= examples.
Interval paired_interval(std::int64_t lost, std::int64_t won, std::int64_t examples);

}  // namespace detent::evaluation
