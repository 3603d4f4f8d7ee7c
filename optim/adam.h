#pragma once

#include "detent/kernels/optimizer/optimizer_step.h"
#include "detent/optim/optimizer.h"

namespace detent::optim {

/// Adam (Kingma, Ba 2015), as PyTorch's, and with decoupled weight decay AdamW (Loshchilov, Hutter 2019):
///   AdamW: p *= 1 - learning_rate * weight_decay;  Adam: g += weight_decay * p
///   m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g * g
///   p -= learning_rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
class Adam : public Optimizer {
 public:
  enum class Decay : std::uint8_t { Coupled, Decoupled };
  struct Options {
    double beta1 = 0.9;
    double beta2 = 0.999;
    double epsilon = 1e-8;
    Decay decay = Decay::Coupled;
  };
  explicit Adam(std::vector<ParameterGroup> groups) : Adam(std::move(groups), Options{}) {}
  /// Throws Error for an option out of range.
  Adam(std::vector<ParameterGroup> groups, Options options);

 private:
  void prepare(std::size_t parameter, const StepOf& step) override;
  void update(std::size_t parameter, Range elements, const float* gradient, float* value) override;

  Options options_;
  std::size_t m_;
  std::size_t v_;
  std::vector<kernels::AdamStep> constants_;  // by parameter
};

/// Adam with decoupled weight decay. PyTorch's default weight decay for it is 0.01; here the groups say.
class AdamW : public Adam {
 public:
  explicit AdamW(std::vector<ParameterGroup> groups) : AdamW(std::move(groups), Options{}) {}
  AdamW(std::vector<ParameterGroup> groups, Options options) : Adam(std::move(groups), decoupled(options)) {}

 private:
  static Options decoupled(Options options) {
    options.decay = Decay::Decoupled;
    return options;
  }
};

}  // namespace detent::optim
