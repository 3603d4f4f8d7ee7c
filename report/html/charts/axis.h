#pragma once

#include <string>
#include <vector>

namespace detent::report::html {

/// From values to places of a drawing: linear, or logarithmic to the base 10.
class Axis {
 public:
  /// [low, high] in values goes to [begin, end] in places. Ends that are equal or not finite, and on a logarithmic axis
  /// those that are not positive, are moved until they make an axis.
  Axis(double low, double high, double begin, double end, bool is_log = false);

  double at(double value) const;
  double low() const { return low_; }
  double high() const { return high_; }
  /// At most about `most` round values within the ends: steps of 1, 2 or 5 times a power of ten.
  std::vector<double> ticks(int most) const;

 private:
  double low_, high_, begin_, end_;
  bool is_log_;
};

}  // namespace detent::report::html
