#include "detent/optim/adam.h"

#include <cmath>

namespace detent::optim {

Adam::Adam(std::vector<ParameterGroup> groups, Options options)
    : Optimizer(std::move(groups)),
      options_(options),
      m_(add_state("mean")),
      v_(add_state("square")),
      constants_(parameters().size()) {
  const auto is_share = [](double beta) { return beta >= 0.0 && beta < 1.0; };
  check(is_share(options.beta1) && is_share(options.beta2), "adam: expected 0 <= beta < 1, got ", options.beta1,
        " and ", options.beta2);
  const auto epsilon = static_cast<float>(options.epsilon);
  check(epsilon > 0.0F && std::isfinite(epsilon), "adam: epsilon: expected a positive number of f32, got ",
        options.epsilon);
}

void Adam::prepare(std::size_t parameter, const StepOf& step) {
  const bool is_decoupled = options_.decay == Decay::Decoupled;
  const auto t = static_cast<double>(step.number);
  const double correction1 = 1.0 - std::pow(options_.beta1, t);
  const double correction2 = 1.0 - std::pow(options_.beta2, t);
  constants_[parameter] = {
      .keep = is_decoupled ? static_cast<float>(1.0 - step.learning_rate * step.weight_decay) : 1.0F,
      .weight_decay = is_decoupled ? 0.0F : static_cast<float>(step.weight_decay),
      .beta1 = static_cast<float>(options_.beta1),
      .one_minus_beta1 = static_cast<float>(1.0 - options_.beta1),
      .beta2 = static_cast<float>(options_.beta2),
      .one_minus_beta2 = static_cast<float>(1.0 - options_.beta2),
      .step_size = static_cast<float>(step.learning_rate / correction1),
      .root_correction2 = static_cast<float>(std::sqrt(correction2)),
      .epsilon = static_cast<float>(options_.epsilon)};
}

void Adam::update(std::size_t parameter, Range elements, const float* gradient, float* value) {
  const std::int64_t at = elements.begin;
  kernels::adam_step(constants_[parameter], elements.size(), gradient + at, value + at, state_of(m_, parameter) + at,
                     state_of(v_, parameter) + at);
}

}  // namespace detent::optim
