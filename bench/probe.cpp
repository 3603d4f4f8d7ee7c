#include "bench/probe.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "kernels/target.h"

namespace detent::bench {
namespace {

constexpr int kLanes = 16;
constexpr int kChains = 10;  // enough to hide the latency of a multiply-add on two ports
constexpr int kRounds = 200'000;

DETENT_VECTORIZED void multiply_add(float* sums, float factor, float summand) {
  float chains[kChains][kLanes];
  std::copy_n(sums, kChains * kLanes, &chains[0][0]);
  for (int round = 0; round < kRounds; ++round) {
    for (auto& chain : chains) {
      for (float& lane : chain) {
        lane = __builtin_fmaf(lane, factor, summand);
      }
    }
  }
  std::copy_n(&chains[0][0], kChains * kLanes, sums);
}

double measure() {
  using Clock = std::chrono::steady_clock;
  float sums[kChains * kLanes] = {};
  double shortest = std::numeric_limits<double>::infinity();
  for (int repetition = 0; repetition < 20; ++repetition) {
    const auto start = Clock::now();
    multiply_add(sums, 0.999F, 0.001F);
    shortest = std::min(shortest, std::chrono::duration<double>(Clock::now() - start).count());
  }
  // The sums are used, so that the loop is not removed.
  return std::isnan(sums[0]) ? 0.0 : 2.0 * kChains * kLanes * kRounds / shortest;
}

}  // namespace

double peak_flops() {
  static const double peak = measure();
  return peak;
}

}  // namespace detent::bench
