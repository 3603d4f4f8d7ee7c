#pragma once

#include "detent/kernels/optimizer/optimizer_step.h"
#include "detent/optim/optimizer.h"

namespace detent::optim {

/// Stochastic gradient descent, with momentum as PyTorch's:
///   g += weight_decay * p
///   b = g in a parameter's first step, else momentum * b + (1 - dampening) * g
///   g = nesterov ? g + momentum * b : b            (all of the last two with momentum only)
///   p -= learning_rate * g
class Sgd : public Optimizer {
 public:
  struct Options {
    double momentum = 0.0;
    double dampening = 0.0;
    bool nesterov = false;  ///< REQUIRES: momentum > 0 and dampening = 0
  };
  /// Throws Error for an option out of range.
  explicit Sgd(std::vector<ParameterGroup> groups) : Sgd(std::move(groups), Options{}) {}
  Sgd(std::vector<ParameterGroup> groups, Options options);

 private:
  void prepare(std::size_t parameter, const StepOf& step) override;
  void update(std::size_t parameter, Range elements, const float* gradient, float* value) override;

  Options options_;
  std::size_t buffer_ = 0;
  std::vector<kernels::SgdStep> constants_;  // by parameter
};

}  // namespace detent::optim
