#include "detent/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string_view>

#include "detent/core/error.h"

namespace detent::optim {
namespace {

/// From `from` at share 0 to `to` at share 1 along half a cosine.
double anneal(double from, double to, double share) {
  return to + (from - to) / 2.0 * (1.0 + std::cos(std::numbers::pi * share));
}

void check_option(std::string_view what, double value) {
  check(value >= 0.0 && std::isfinite(value), "schedule: ", what, ": expected a number of at least 0, got ", value);
}

double rate(const ConstantRate&, double base, std::int64_t, std::int64_t) { return base; }

double rate(const StepRate& shape, double base, std::int64_t step, std::int64_t) {
  check(shape.period >= 1, "schedule: step: expected a period of at least 1, got ", shape.period);
  check_option("step: gamma", shape.gamma);
  return base * std::pow(shape.gamma, static_cast<double>(step / shape.period));
}

double rate(const CosineRate& shape, double base, std::int64_t step, std::int64_t total) {
  check_option("cosine: floor", shape.floor);
  return anneal(base, shape.floor, static_cast<double>(step) / static_cast<double>(total));
}

double rate(const OneCycleRate& shape, double base, std::int64_t step, std::int64_t total) {
  check(shape.rise > 0.0 && shape.rise < 1.0, "schedule: one-cycle: expected a rise between 0 and 1, got ", shape.rise);
  check(shape.div > 0.0 && shape.final_div > 0.0 && std::isfinite(shape.div) && std::isfinite(shape.final_div),
        "schedule: one-cycle: expected positive divisors, got ", shape.div, " and ", shape.final_div);
  const double start = base / shape.div;
  const double peak_at = shape.rise * static_cast<double>(total) - 1.0;
  const double end_at = static_cast<double>(total) - 1.0;
  const double at = std::min(static_cast<double>(step), end_at);
  if (at <= peak_at) {
    return anneal(start, base, peak_at > 0.0 ? at / peak_at : 1.0);
  }
  return anneal(base, start / shape.final_div, (at - peak_at) / (end_at - peak_at));
}

double rate_at(const Schedule& schedule, std::int64_t step, std::int64_t total_steps) {
  const Warmup& warmup = schedule.warmup;
  if (step < warmup.steps) {
    const double share = static_cast<double>(step) / static_cast<double>(warmup.steps);
    return schedule.base * (warmup.start + (1.0 - warmup.start) * share);
  }
  const std::int64_t total = std::max<std::int64_t>(total_steps - warmup.steps, 1);
  const std::int64_t at = std::min(step - warmup.steps, total);
  return std::visit([&](const auto& shape) { return rate(shape, schedule.base, at, total); }, schedule.shape);
}

}  // namespace

double learning_rate(const Schedule& schedule, std::int64_t step, std::int64_t total_steps) {
  check(step >= 0 && total_steps >= 1, "schedule: expected a step of at least 0 of at least 1, got ", step, " of ",
        total_steps);
  const Warmup& warmup = schedule.warmup;
  check(warmup.steps >= 0, "schedule: warm-up: expected at least 0 steps, got ", warmup.steps);
  check_option("base", schedule.base);
  check_option("warm-up: start", warmup.start);
  const double result = rate_at(schedule, step, total_steps);
  check(std::isfinite(result), "schedule: the learning rate of step ", step, " is not finite");
  return result;
}

}  // namespace detent::optim
