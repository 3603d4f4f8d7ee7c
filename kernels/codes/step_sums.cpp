#include "detent/kernels/codes/step_sums.h"

#include <algorithm>

#include "detent/core/processor/vectorized.h"
#include "detent/kernels/codes/rounding.h"

namespace detent::kernels {
namespace {

constexpr std::int64_t kBlock = 256;
constexpr std::int64_t kLanes = 16;

/// Sums of the members of StepSums over a block, in lanes that are added to by themselves, so that sums do not depend
/// on the width of vectors.
struct Lanes {
  alignas(64) float inside[kLanes] = {};
  alignas(64) float above[kLanes] = {};
  alignas(64) float below[kLanes] = {};
  alignas(64) float at_top[kLanes] = {};
  alignas(64) float at_bottom[kLanes] = {};
};

struct Borders {
  float scale, low, high;
  Inside inside;
};

using Vector = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(alignof(float)), may_alias));

/// REQUIRES: n is a multiple of kLanes.
DETENT_VECTORIZED void sum_block(const float* __restrict g, const float* __restrict x, std::int64_t n,
                                 const Borders& borders, Lanes* __restrict sums) {
  constexpr float kShift = 12582912.0F;  // as in round_clamped
  const Vector zero = {};
  const Vector scale = zero + borders.scale, low = zero + borders.low, high = zero + borders.high;
  const Vector inside_low = zero + borders.inside.low, inside_high = zero + borders.inside.high;
  Vector inside = zero, above = zero, below = zero, at_top = zero, at_bottom = zero;
  for (std::int64_t i = 0; i < n; i += kLanes) {
    const Vector gradient = *reinterpret_cast<const Vector*>(g + i);
    const Vector t = *reinterpret_cast<const Vector*>(x + i) / scale;
    const Vector raised = t > low ? t : low;
    const Vector within = raised < high ? raised : high;
    const Vector term = gradient * (((within + kShift) - kShift) - t);
    inside += t >= inside_low ? (t <= inside_high ? term : zero) : zero;
    above += t > inside_high ? gradient : zero;
    below += t < inside_low ? gradient : zero;
    at_top += t >= high ? gradient : zero;
    at_bottom += t <= low ? gradient : zero;
  }
  *reinterpret_cast<Vector*>(sums->inside) = inside;
  *reinterpret_cast<Vector*>(sums->above) = above;
  *reinterpret_cast<Vector*>(sums->below) = below;
  *reinterpret_cast<Vector*>(sums->at_top) = at_top;
  *reinterpret_cast<Vector*>(sums->at_bottom) = at_bottom;
}

double total(const float* lanes) {
  double sum = 0.0;
  for (std::int64_t lane = 0; lane < kLanes; ++lane) {
    sum += static_cast<double>(lanes[lane]);
  }
  return sum;
}

}  // namespace

StepSums step_sums(std::span<const float> g, std::span<const float> x, ScaleZero map, CodeRange codes) {
  const std::int32_t low = codes.qmin - map.zero_point, high = codes.qmax - map.zero_point;
  const Borders borders{map.scale, static_cast<float>(low), static_cast<float>(high), Inside(low, high)};
  StepSums sums;
  const auto add = [&](const float* gradients, const float* values, std::int64_t n) {
    Lanes lanes;
    sum_block(gradients, values, n, borders, &lanes);
    sums.include(
        {total(lanes.inside), total(lanes.above), total(lanes.below), total(lanes.at_top), total(lanes.at_bottom)});
  };
  const auto count = static_cast<std::int64_t>(x.size());
  const std::int64_t whole = count - count % kLanes;
  for (std::int64_t begin = 0; begin < whole; begin += kBlock) {
    add(g.data() + begin, x.data() + begin, std::min(kBlock, whole - begin));
  }
  if (whole < count) {  // the rest, with gradients of 0 behind it
    alignas(64) float gradients[kLanes] = {}, values[kLanes] = {};
    std::copy_n(g.data() + whole, count - whole, gradients);
    std::copy_n(x.data() + whole, count - whole, values);
    add(gradients, values, kLanes);
  }
  return sums;
}

}  // namespace detent::kernels
