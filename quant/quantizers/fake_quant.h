#pragma once

#include <memory>
#include <vector>

#include "detent/nn/module.h"
#include "detent/quant/quantizers/qconfig.h"

namespace detent::quant {

/// What a quantizer did to the values of a measured pass.
struct Measured {
  MinMax seen = {};               ///< the real values
  MinMax codes = {};              ///< the codes that they became
  std::int64_t nonzero = 0;       ///< values that did not become the code of 0, which most of a sparse tensor does
  std::int64_t clipped = 0;       ///< values whose code before clamping lay outside of [qmin, qmax]
  double clipped_share() const {  ///< of those that are not zero
    return nonzero == 0 ? 0.0 : static_cast<double>(clipped) / static_cast<double>(nonzero);
  }
};

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
  /// Throws Error, beginning with `who`, if there is no range; says so where all values were NaN or infinite.
  void check_range(std::string_view who) const;
  /// The range as it stands; empty where nothing was observed.
  MinMax range() const { return observer_.range(); }
  /// Takes in the range of a batch of `examples` and chooses the map anew. Does nothing when frozen.
  void observe(const MinMax& batch, std::int64_t examples);
  /// Joins what was seen to the range and chooses the map anew. REQUIRES: not frozen.
  void widen(const MinMax& seen);

  /// From now on inference counts what becomes of values (quant/measure.h), from nothing; with false: no longer.
  void set_measuring(bool on);
  bool is_measuring() const { return is_measuring_; }
  Measured& measured() { return measured_; }

  /// Scale and zero point in force. Throws Error if nothing was observed.
  ScaleZero map() const;
  /// The same, as codes carry it.
  std::shared_ptr<const QParams> qparams() const;
  /// Throws Error if nothing was observed.
  void freeze();

  /// output_min, output_max, output_scale, output_zero_point: what is saved; of a moving average that is not frozen
  /// also the window that is not full yet.
  std::vector<nn::Slot> slots();
  /// Throws Error unless what was loaded into the slots is a map.
  void check_loaded();

 private:
  void choose_map();

  ActivationQuantizer config_;
  State state_;
  Observer observer_;
  Tensor scale_;       // f32 [1]
  Tensor zero_point_;  // s32 [1]
  bool saw_no_finite_value_ = false;
  bool is_measuring_ = false;
  Measured measured_;
};

std::string_view name_of(FakeQuant::State state);  ///< "calibrating", "observing", "frozen"
FakeQuant::State fake_quant_state_from_name(std::string_view name);

}  // namespace detent::quant
