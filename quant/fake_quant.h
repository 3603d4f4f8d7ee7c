#pragma once

#include <memory>
#include <vector>

#include "nn/module.h"
#include "quant/qconfig.h"

namespace detent::quant {

/// The quantizer of one activation: an observer, and the one stored map that training, conversion and export use.
///
/// It works on codes from the start: a module quantizes its result with `map()` and hands on codes that carry
/// `qparams()`; the gradient passes straight through where the unclamped code lies in [qmin, qmax].
///
///   Calibrating --freeze--> Frozen      static quantization: values stay real, ranges are observed
///   Observing   --freeze--> Frozen      training: values are codes, ranges are observed
class FakeQuant {
 public:
  enum class State : std::uint8_t { Calibrating, Observing, Frozen };

  FakeQuant(const ActivationQuantizer& config, State state);

  const ActivationQuantizer& config() const { return config_; }
  CodeRange codes() const { return unsigned_codes(config_.bits); }
  State state() const { return state_; }
  bool is_calibrating() const { return state_ == State::Calibrating; }
  bool is_observing() const { return state_ == State::Observing; }
  bool is_frozen() const { return state_ == State::Frozen; }

  bool has_range() const { return observer_.has_range(); }
  /// Takes in the range of a batch and chooses the map anew. Does nothing when frozen.
  void observe(const MinMax& batch);
  /// Scale and zero point in force. Throws Error if nothing was observed.
  ScaleZero map() const;
  /// The same, as codes carry it.
  std::shared_ptr<const QParams> qparams() const;
  /// Throws Error if nothing was observed.
  void freeze();

  /// output_min, output_max, output_scale, output_zero_point: what is saved.
  std::vector<nn::Slot> slots();
  /// Throws Error unless what was loaded into the slots is a map.
  void check_loaded() const;

 private:
  void check_range(std::string_view what) const;

  ActivationQuantizer config_;
  State state_;
  Observer observer_;
  Tensor scale_;       // f32 [1]
  Tensor zero_point_;  // s32 [1]
  bool saw_nothing_finite_ = false;
};

std::string_view name_of(FakeQuant::State state);  ///< "calibrating", "observing", "frozen"
FakeQuant::State fake_quant_state_from_name(std::string_view name);

}  // namespace detent::quant
