#pragma once

#include <cstdint>
#include <variant>

/// How the learning rate runs over a training. Formulas are PyTorch's closed forms, steps are optimizer steps.
namespace detent::optim {

/// lr = base
struct ConstantRate {};

/// lr = base * gamma^floor(step / period). StepLR.
struct StepRate {
  std::int64_t period = 1;  ///< steps between two cuts, at least 1
  double gamma = 0.1;
};

/// lr = floor + (base - floor) * (1 + cos(pi * step / total)) / 2. CosineAnnealingLR, Loshchilov, Hutter 2017.
struct CosineRate {
  double floor = 0.0;
};

/// From base / div up to base over the first `rise` of the steps, then down to base / div / final_div at the last step,
/// both along half a cosine. OneCycleLR, Smith, Topin 2018.
struct OneCycleRate {
  double rise = 0.3;  ///< share of the steps, above 0 and below 1
  double div = 25.0;
  double final_div = 1e4;
};

/// base * (start + (1 - start) * step / steps) for the first `steps` steps. LinearLR. 0 steps: none.
struct Warmup {
  std::int64_t steps = 0;
  double start = 1.0 / 3.0;
};

/// A schedule: after the warm-up `shape` runs over the steps that are left, from its beginning.
struct Schedule {
  double base = 1e-3;  ///< the learning rate
  std::variant<ConstantRate, StepRate, CosineRate, OneCycleRate> shape = ConstantRate{};
  Warmup warmup = {};
};

/// The learning rate of step `step` (0, 1, ...) of `total_steps`. From total_steps on it stays what it was to become.
/// A pure function. Throws Error for a negative step, for an option that is negative or not finite, and where the
/// result is not finite.
double learning_rate(const Schedule& schedule, std::int64_t step, std::int64_t total_steps);

}  // namespace detent::optim
