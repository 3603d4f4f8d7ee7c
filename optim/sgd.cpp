#include "detent/optim/sgd.h"

#include <cmath>

namespace detent::optim {

Sgd::Sgd(std::vector<ParameterGroup> groups, Options options)
    : Optimizer(std::move(groups)), options_(options), constants_(parameters().size()) {
  check(options.momentum >= 0.0 && std::isfinite(options.momentum),
        "sgd: momentum: expected a number of at least 0, got ", options.momentum);
  check(std::isfinite(options.dampening), "sgd: dampening: expected a number, got ", options.dampening);
  check(!options.nesterov || (options.momentum > 0.0 && options.dampening == 0.0),
        "sgd: nesterov: expected a momentum and no dampening, got momentum ", options.momentum, ", dampening ",
        options.dampening);
  if (options.momentum > 0.0) {
    buffer_ = add_state("momentum");
  }
}

void Sgd::prepare(std::size_t parameter, const StepOf& step) {
  constants_[parameter] = {.learning_rate = static_cast<float>(step.learning_rate),
                           .weight_decay = static_cast<float>(step.weight_decay),
                           .momentum = static_cast<float>(options_.momentum),
                           .one_minus_dampening = static_cast<float>(1.0 - options_.dampening),
                           .nesterov = options_.nesterov,
                           .first = step.number == 1};
}

void Sgd::update(std::size_t parameter, Range elements, const float* gradient, float* value) {
  const std::int64_t at = elements.begin;
  float* buffer = options_.momentum > 0.0 ? state_of(buffer_, parameter) + at : nullptr;
  kernels::sgd_step(constants_[parameter], elements.size(), gradient + at, value + at, buffer);
}

}  // namespace detent::optim
