#include "detent/kernels/codes/step_sums.h"

#include <algorithm>

#include "detent/core/processor/vectorized.h"
#include "detent/kernels/codes/rounding.h"

namespace detent::kernels {
namespace {

constexpr std::int64_t kBlock = 256;
constexpr std::int64_t kLanes = 8;

/// A number for each member of StepSums and each value of a block; 0 behind the last value.
struct Terms {
  alignas(64) float inside[kBlock] = {};
  alignas(64) float above[kBlock] = {};
  alignas(64) float below[kBlock] = {};
  alignas(64) float at_top[kBlock] = {};
  alignas(64) float at_bottom[kBlock] = {};
};

struct Borders {
  float scale, low, high;
  Inside inside;
};

DETENT_VECTORIZED void make_terms(const float* __restrict g, const float* __restrict x, std::int64_t n,
                                  const Borders& borders, Terms* __restrict terms) {
  const float scale = borders.scale, low = borders.low, high = borders.high;
  const float inside_low = borders.inside.low, inside_high = borders.inside.high;
  for (std::int64_t i = 0; i < n; ++i) {
    const float t = x[i] / scale;
    const float residual = static_cast<float>(round_clamped(t, low, high)) - t;
    terms->inside[i] = (t >= inside_low) & (t <= inside_high) ? g[i] * residual : 0.0F;
    terms->above[i] = t > inside_high ? g[i] : 0.0F;
    terms->below[i] = t < inside_low ? g[i] : 0.0F;
    terms->at_top[i] = t >= high ? g[i] : 0.0F;
    terms->at_bottom[i] = t <= low ? g[i] : 0.0F;
  }
}

/// Lanes are added to by themselves, so that sums do not depend on the width of vectors.
DETENT_VECTORIZED void add_lanes(const float* terms, double* lanes) {
  for (std::int64_t i = 0; i < kBlock; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += static_cast<double>(terms[i + lane]);
    }
  }
}

struct Lanes {
  double sums[kLanes] = {};
  void add(const float* terms) { add_lanes(terms, sums); }
  double total() const {
    double total = 0.0;
    for (const double sum : sums) {
      total += sum;
    }
    return total;
  }
};

}  // namespace

StepSums step_sums(std::span<const float> g, std::span<const float> x, ScaleZero map, CodeRange codes) {
  const std::int32_t low = codes.qmin - map.zero_point, high = codes.qmax - map.zero_point;
  const Borders borders{map.scale, static_cast<float>(low), static_cast<float>(high), Inside(low, high)};
  Lanes inside, above, below, at_top, at_bottom;
  const auto total = static_cast<std::int64_t>(x.size());
  for (std::int64_t begin = 0; begin < total; begin += kBlock) {
    Terms terms;
    make_terms(g.data() + begin, x.data() + begin, std::min(kBlock, total - begin), borders, &terms);
    inside.add(terms.inside);
    above.add(terms.above);
    below.add(terms.below);
    at_top.add(terms.at_top);
    at_bottom.add(terms.at_bottom);
  }
  return {inside.total(), above.total(), below.total(), at_top.total(), at_bottom.total()};
}

}  // namespace detent::kernels
