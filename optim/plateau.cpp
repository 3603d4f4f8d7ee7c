#include "detent/optim/plateau.h"

#include <cmath>

#include "detent/core/error.h"

namespace detent::optim {

Plateau::Plateau(Options options, State state) : options_(options), state_(state) {
  check(options.factor > 0.0 && std::isfinite(options.factor), "plateau: factor: expected a number above 0, got ",
        options.factor);
  check(options.patience >= 0, "plateau: patience: expected at least 0, got ", options.patience);
  check(options.threshold >= 0.0 && std::isfinite(options.threshold),
        "plateau: threshold: expected a number of at least 0, got ", options.threshold);
}

void Plateau::feed(double value) {
  const bool is_first = !state_.best && std::isfinite(value);
  if (is_first || (state_.best && value < *state_.best - options_.threshold * std::abs(*state_.best))) {
    state_.best = value;
    state_.waited = 0;
    return;
  }
  if (++state_.waited > options_.patience) {
    state_.multiplier *= options_.factor;
    state_.waited = 0;
  }
}

}  // namespace detent::optim
