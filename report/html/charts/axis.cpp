#include "detent/report/html/charts/axis.h"

#include <algorithm>
#include <cmath>

namespace detent::report::html {
namespace {

constexpr double kSmallest = 1e-12;  // of a logarithmic axis

double step_of(double span, int most) {
  const double raw = span / most;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw) {
      return factor * power;
    }
  }
  return 10.0 * power;
}

}  // namespace

Axis::Axis(double low, double high, double begin, double end, bool is_log)
    : low_(std::isfinite(low) ? low : 0.0),
      high_(std::isfinite(high) ? high : low_),
      begin_(begin),
      end_(end),
      is_log_(is_log) {
  if (is_log_) {
    low_ = std::max(low_, kSmallest);
    high_ = std::max(high_, low_);
    if (high_ == low_) {
      low_ /= 2.0;
      high_ *= 2.0;
    }
    return;
  }
  if (!(high_ > low_)) {
    const double room = low_ == 0.0 ? 1.0 : 0.5 * std::abs(low_);
    low_ -= room;
    high_ = low_ + 2.0 * room;
  }
}

double Axis::at(double value) const {
  const double share =
      is_log_ ? (std::log10(std::max(value, kSmallest)) - std::log10(low_)) / (std::log10(high_) - std::log10(low_))
              : (value - low_) / (high_ - low_);
  return begin_ + std::clamp(share, 0.0, 1.0) * (end_ - begin_);
}

std::vector<double> Axis::ticks(int most) const {
  std::vector<double> result;
  if (!is_log_) {
    const double step = step_of(high_ - low_, most);
    const double first = std::ceil(low_ / step - 1e-9);
    for (int i = 0; i <= 2 * most && (first + i) * step <= high_ + 1e-9 * step; ++i) {
      result.push_back((first + i) * step);
    }
    return result;
  }
  const double first = std::floor(std::log10(low_));
  const double decades = std::ceil(std::log10(high_)) - first;
  const double every = std::max(1.0, std::ceil(decades / most));
  std::vector<double> powers;
  for (double decade = 0.0; decade <= decades; decade += every) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double value = factor * std::pow(10.0, first + decade);
      if (value >= low_ * (1.0 - 1e-9) && value <= high_ * (1.0 + 1e-9)) {
        result.push_back(value);
        if (factor == 1.0) {
          powers.push_back(value);
        }
      }
    }
  }
  return std::ssize(result) <= most + 1 || powers.empty() ? result : powers;
}

}  // namespace detent::report::html
