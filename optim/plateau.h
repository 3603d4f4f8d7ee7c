#pragma once

#include <cstdint>
#include <optional>

namespace detent::optim {

/// Lowers the learning rate where a number that should fall no longer does, as PyTorch's ReduceLROnPlateau (threshold
/// relative, no cooldown). Fed after each epoch:
///
///   value < best - threshold * |best|: best = value, waited = 0; else ++waited
///   waited > patience: multiplier *= factor, waited = 0
class Plateau {
 public:
  struct Options {
    double factor = 0.1;        ///< above 0
    std::int64_t patience = 2;  ///< epochs without gain that are borne; at least 0
    double threshold = 1e-4;    ///< at least 0
  };
  struct State {
    double multiplier = 1.0;  ///< of the learning rate
    std::optional<double> best = {};
    std::int64_t waited = 0;
    bool operator==(const State&) const = default;
  };

  /// Throws Error for an option out of bounds.
  explicit Plateau(Options options) : Plateau(options, State()) {}
  /// Goes on from a state.
  Plateau(Options options, State state);
  /// A value that is not finite is no gain.
  void feed(double value);
  double multiplier() const { return state_.multiplier; }
  const State& state() const { return state_; }

 private:
  Options options_;
  State state_;
};

}  // namespace detent::optim
