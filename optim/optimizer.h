#pragma once

#include <map>
#include <utility>

#include "detent/optim/parameter.h"

namespace detent::optim {

/// Moves parameters against their gradients. Values and state are f32 always; each step is one pass over memory.
/// A parameter without a gradient is left alone, and its step is not counted, as in PyTorch.
class Optimizer {
 public:
  /// Throws Error if a parameter has no value, is not f32, or is given twice: by its name, or by its value's memory.
  explicit Optimizer(std::vector<ParameterGroup> groups);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One step. Gradients are read and not changed. Throws Error, before anything has changed, if no parameter has a
  /// gradient (none was computed, or they are those of another graph), for a gradient that does not fit its parameter,
  /// for a value of another shape than it had at first, and for a learning rate that is negative or not finite.
  void step(double learning_rate);
  /// Calls of `step` so far.
  std::int64_t steps() const;
  std::span<const ParameterRef> parameters() const { return parameters_; }
  void clear_gradients();

  /// What a checkpoint holds: "steps" (s32: of the optimizer, then of each parameter) and "<state>/<parameter>" (f32).
  std::vector<std::pair<std::string, Tensor*>> state();
  /// Copies every tensor of `state` from `tensors`. Throws Error if one is missing or does not fit, or a count is
  /// negative.
  void set_state(const std::map<std::string, Tensor>& tensors);

 protected:
  /// Adds zeros of every parameter's shape. Returns the index to ask `state_of` with.
  std::size_t add_state(const std::string& name);
  float* state_of(std::size_t state, std::size_t parameter) {
    return reinterpret_cast<float*>(states_[state].tensors[parameter].raw());
  }

  struct StepOf {
    double learning_rate;
    double weight_decay;
    std::int64_t number;  ///< of this step of this parameter: 1, 2, ...
  };
  /// Makes the constants of this parameter's step, called before any `update`.
  virtual void prepare(std::size_t parameter, const StepOf& step) = 0;
  /// Moves the elements; called from many threads. Pointers are to the parameter's first element.
  virtual void update(std::size_t parameter, Range elements, const float* gradient, float* value) = 0;

 private:
  void check_step(double learning_rate) const;

  struct State {
    std::string name;
    std::vector<Tensor> tensors;  // by parameter
  };
  std::vector<ParameterRef> parameters_;
  std::vector<double> weight_decay_;  // by parameter
  std::vector<double> multiplier_;
  std::vector<Shape> shapes_;  // when the state was made
  Tensor steps_;
  std::vector<State> states_;
};

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), where norm is the root of the sum of squares of all of
/// them, and returns norm. The sum is f64, in the order of slices. torch.nn.utils.clip_grad_norm_.
/// Gradients whose norm is not finite are left as they are: look at what is returned.
/// REQUIRES: max_norm > 0; throws Error otherwise.
double clip_grad_norm(std::span<const ParameterRef> parameters, double max_norm);

}  // namespace detent::optim
