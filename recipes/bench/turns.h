#pragma once

#include <functional>
#include <span>
#include <vector>

#include "detent/evaluation/progress.h"

namespace detent::recipes {

/// The number in the middle, of two the upper one. REQUIRES: at least one number.
double median(std::vector<double> numbers);
/// The number that a quarter of them are below: what a machine that has other work to do disturbs least. REQUIRES: at
/// least one number.
double lower_quartile(std::vector<double> numbers);

struct Turns {
  std::int64_t count = 30;
  double seconds = 1.5e-3;  ///< of a turn: it has as many runs as take that long, but one at least
};

/// Runs each piece of `work` turn by turn, so that what else the machine does falls on all alike: [work][turn], the
/// seconds of one run, by the clock. The first run of a turn is not counted: it brings back to the caches what the
/// others pushed out. Throws Interrupted.
std::vector<std::vector<double>> time_turns(std::span<const std::function<void()>> work, const Turns& turns,
                                            evaluation::Reporter& reporter);

}  // namespace detent::recipes
