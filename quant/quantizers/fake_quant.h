#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "detent/nn/module.h"
#include "detent/quant/quantizers/qconfig.h"

namespace detent::quant {

/// What a quantizer did to the values of a measured pass.
struct Measured {
  MinMax seen = {};          ///< the real values
  MinMax codes = {};         ///< the codes that they became
  std::int64_t nonzero = 0;  ///< values that did not become the code of 0, which most of a sparse tensor does
  std::int64_t clipped = 0;  ///< values whose code before clamping lay outside of [qmin, qmax]
  std::vector<MinMax> channel_codes = {};  ///< the codes of each channel, which is the last axis
  double clipped_share() const {           ///< of those that are not zero
    return nonzero == 0 ? 0.0 : static_cast<double>(clipped) / static_cast<double>(nonzero);
  }
};

/// The quantizer of one activation: a range rule, and the one stored map that training, conversion and export use.
///
/// It works on codes from the start: a module quantizes its result with `map()` and hands on codes that carry
/// `qparams()`; the gradient passes straight through where the unclamped code lies in [qmin, qmax].
///
/// A rule of the gradient that learns (gradients/rules.h) takes the place of the range rule once values that are not
/// all 0 were observed: the map in force is that of `learned()`, and the range is what its codes cover. Modules hand
/// on their values to it with learned_codes (kinds/ops/learned_codes.h). Freezing makes it the one stored map.
///
///   Calibrating --freeze--> Frozen      static quantization: values stay real, ranges are observed
///   Observing   --freeze--> Frozen      training: values are codes, ranges are observed
///               <--thaw----             to widen ranges once more
class FakeQuant {
 public:
  enum class State : std::uint8_t { Calibrating, Observing, Frozen };

  FakeQuant(const QuantizerSpec& config, State state);

  const QuantizerSpec& config() const { return config_; }
  CodeRange codes() const { return config_.codes(); }
  State state() const { return state_; }
  bool is_calibrating() const { return state_ == State::Calibrating; }
  bool is_observing() const { return state_ == State::Observing; }
  bool is_frozen() const { return state_ == State::Frozen; }

  bool has_range() const { return !range().empty(); }
  /// Throws Error, beginning with `who`, if there is no range; says so where all values were NaN or infinite.
  void check_range(std::string_view who) const;
  /// The range as it stands; empty where nothing was observed.
  MinMax range() const;

  /// Whether the map in force is learned, from now until it is frozen.
  bool is_learning() const { return is_learned() && is_observing(); }
  /// Whether it is learned, or was until it was frozen.
  bool is_learned() const { return learned_count() > 0 && has_begun(); }
  /// Whether `observe` would change anything in training.
  bool wants_ranges() const { return is_observing() && !is_learning(); }
  std::shared_ptr<const GradientRule> gradient_rule() const { return gradient_; }
  /// What the rule learns, f32 [count]; undefined where that is nothing.
  nn::Parameter& learned() { return learned_; }
  /// The real values of a batch, f32, which it is asked for where the rule needs them.
  using ValuesOf = std::function<Tensor()>;
  /// Takes in a batch of `examples`, by its range and, for rules that need them, its values, and chooses the map anew.
  /// Does nothing when frozen, and while the map is learned: a rule that learns begins with this batch. Throws Error
  /// where values are needed and there are none.
  void observe(const MinMax& batch, std::int64_t examples, const ValuesOf& values = {});
  /// The same of a batch whose values are in memory.
  void observe(const Tensor& values, std::int64_t examples);
  /// Joins what was seen to the range and chooses the map anew, where the rule may be widened; whether it was.
  /// REQUIRES: not frozen.
  bool widen(const MinMax& seen);

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
  /// Observes again, from the range that was frozen. REQUIRES: not calibrating.
  void thaw();

  /// output_min, output_max, output_scale, output_zero_point: what is saved; output_learned where the rule learns, else
  /// while it is not frozen also the state of the range rule.
  std::vector<nn::Slot> slots();
  /// Throws Error unless what was loaded into the slots is a map.
  void check_loaded();

 private:
  void set_range(const MinMax& range);
  void set_map(const MinMax& range, ScaleZero map);
  std::size_t learned_count() const { return gradient_->learned(); }
  /// Whether a range other than of zeros alone is stored.
  bool has_begun() const;
  /// The learned numbers begin with `observed`, unless that is of zeros alone.
  void begin_learning(const MinMax& observed, const ValuesOf& values);
  ScaleZero learned_map() const;
  MinMax learned_range() const;
  /// Stores the map that is learned.
  void store_learned();

  QuantizerSpec config_;
  State state_;
  std::shared_ptr<RangeRule> rule_;
  std::shared_ptr<const GradientRule> gradient_;
  nn::Parameter learned_{.decay = false};
  Tensor min_, max_;   // f32 [1]
  Tensor scale_;       // f32 [1]
  Tensor zero_point_;  // s32 [1]
  bool saw_no_finite_value_ = false;
  bool is_measuring_ = false;
  Measured measured_;
};

std::string_view name_of(FakeQuant::State state);  ///< "calibrating", "observing", "frozen"
FakeQuant::State fake_quant_state_from_name(std::string_view name);

}  // namespace detent::quant
