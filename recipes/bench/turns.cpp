#include "detent/recipes/bench/turns.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "detent/core/threads/parallel.h"

namespace detent::recipes {
namespace {

using Clock = std::chrono::steady_clock;

/// The number at `place` of the sorted ones.
double in_order(std::vector<double> numbers, std::ptrdiff_t place) {
  std::ranges::nth_element(numbers, numbers.begin() + place);
  return numbers[static_cast<std::size_t>(place)];
}

double seconds_of_run(const std::function<void()>& work, double at_least) {
  work();
  const auto start = Clock::now();
  for (std::int64_t runs = 1;; ++runs) {
    work();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (seconds >= at_least) {
      return seconds / static_cast<double>(runs);
    }
  }
}

}  // namespace

double median(std::vector<double> numbers) {
  const auto place = static_cast<std::ptrdiff_t>(numbers.size() / 2);
  return in_order(std::move(numbers), place);
}

double lower_quartile(std::vector<double> numbers) {
  const auto place = static_cast<std::ptrdiff_t>(numbers.size() / 4);
  return in_order(std::move(numbers), place);
}

std::vector<std::vector<double>> time_turns(std::span<const std::function<void()>> work, const Turns& turns,
                                            evaluation::Reporter& reporter) {
  std::vector<std::vector<double>> seconds(work.size());
  for (std::int64_t turn = 0; turn < turns.count; ++turn) {
    for (std::size_t i = 0; i < work.size(); ++i) {
      if (reporter.should_stop()) {
        throw Interrupted();
      }
      check_interruption();
      seconds[i].push_back(seconds_of_run(work[i], turns.seconds));
    }
  }
  return seconds;
}

}  // namespace detent::recipes
