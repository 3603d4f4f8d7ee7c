#pragma once

#include "detent/optim/optimizer.h"

namespace detent::optim {

/// Dynamic loss scaling, for gradients that f16 would lose (Micikevicius et al. 2018; torch.cuda.amp.GradScaler).
///
///   tape.backward(loss, scaler.scale());
///   scaler.unscale(parameters);              // only if gradients are looked at or clipped
///   scaler.step(optimizer, learning_rate);   // skipped if a gradient is not finite
///   scaler.update();
///
/// unscale: g *= float(1 / scale). update: after a step with a non-finite gradient scale *= backoff (but never below
/// the smallest normal f32) and the count of finite steps is 0; else the count grows, and at `growth_interval` scale *=
/// growth (unless that is infinite) and the count is 0.
class GradScaler {
 public:
  struct Options {
    float initial_scale = 65536.0F;
    float growth = 2.0F;
    float backoff = 0.5F;
    std::int64_t growth_interval = 2000;
  };
  /// What a checkpoint holds.
  struct State {
    float scale = 65536.0F;
    std::int64_t finite_steps = 0;   ///< since the scale last changed
    std::int64_t skipped_steps = 0;  ///< in all
    bool operator==(const State&) const = default;
  };

  GradScaler() : GradScaler(Options{}) {}
  /// Throws Error for an option out of range.
  explicit GradScaler(Options options);

  /// The seed of the backward pass.
  float scale() const { return state_.scale; }
  /// Divides all gradients by the scale and looks for non-finite ones. Throws Error the second time before `update`,
  /// if there is none, and for gradients that are not f32.
  void unscale(std::span<const ParameterRef> parameters);
  /// Unscales the optimizer's gradients if `unscale` was not called, and steps if all are finite. Returns whether it
  /// did. Throws Error the second time before `update`.
  bool step(Optimizer& optimizer, double learning_rate);
  /// Ends the step. Throws Error if nothing was unscaled since the last.
  void update();

  const State& state() const { return state_; }
  /// Throws Error unless the scale is a positive, normal number and counts are not negative.
  void set_state(const State& state);

 private:
  enum class Phase : std::uint8_t { Scaled, Unscaled, Stepped };
  Options options_;
  State state_;
  Phase phase_ = Phase::Scaled;
  bool all_finite_ = true;
};

}  // namespace detent::optim
