#include "detent/optim/grad_scaler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "detent/kernels/optimizer/optimizer_step.h"

namespace detent::optim {

GradScaler::GradScaler(Options options) : options_(options) {
  check(options.growth > 1.0F && std::isfinite(options.growth), "grad scaler: growth: expected more than 1, got ",
        options.growth);
  check(options.backoff > 0.0F && options.backoff < 1.0F, "grad scaler: backoff: expected between 0 and 1, got ",
        options.backoff);
  check(options.growth_interval >= 1, "grad scaler: growth_interval: expected at least 1, got ",
        options.growth_interval);
  set_state({.scale = options.initial_scale});
}

void GradScaler::set_state(const State& state) {
  check(std::isfinite(state.scale) && state.scale >= std::numeric_limits<float>::min(),
        "grad scaler: scale: expected a positive, normal number of f32, got ", state.scale);
  check(state.finite_steps >= 0 && state.skipped_steps >= 0, "grad scaler: expected counts of at least 0, got ",
        state.finite_steps, " and ", state.skipped_steps);
  state_ = state;
}

void GradScaler::unscale(std::span<const ParameterRef> parameters) {
  check(phase_ == Phase::Scaled, "grad scaler: unscale was called already since the last update");
  check_any_gradient(parameters);
  const ElementSlices slices(parameters);
  const auto inverse = static_cast<float>(1.0 / static_cast<double>(state_.scale));
  std::vector<char> is_bad(static_cast<std::size_t>(slices.count()), 0);
  slices.for_each([&](std::int64_t slice, std::size_t p, Range elements) {
    float* gradient = parameters[p].gradient->data<float>().data() + elements.begin;
    if (!kernels::scale_and_check(inverse, elements.size(), gradient)) {
      is_bad[static_cast<std::size_t>(slice)] = 1;
    }
  });
  all_finite_ = std::ranges::find(is_bad, 1) == is_bad.end();
  phase_ = Phase::Unscaled;
}

bool GradScaler::step(Optimizer& optimizer, double learning_rate) {
  check(phase_ != Phase::Stepped, "grad scaler: step was called already since the last update");
  if (phase_ == Phase::Scaled) {
    unscale(optimizer.parameters());
  }
  if (all_finite_) {
    optimizer.step(learning_rate);
  }
  phase_ = Phase::Stepped;
  return all_finite_;
}

void GradScaler::update() {
  check(phase_ != Phase::Scaled, "grad scaler: update: no gradient was unscaled since the last update");
  phase_ = Phase::Scaled;
  if (!all_finite_) {
    state_.scale = std::max(state_.scale * options_.backoff, std::numeric_limits<float>::min());
    state_.finite_steps = 0;
    ++state_.skipped_steps;
  } else if (++state_.finite_steps >= options_.growth_interval) {
    const float grown = state_.scale * options_.growth;
    state_.scale = std::isfinite(grown) ? grown : state_.scale;
    state_.finite_steps = 0;
  }
}

}  // namespace detent::optim
