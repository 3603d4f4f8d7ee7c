#include "detent/kernels/codes/step_sums.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "detent/core/float16.h"
#include "detent/core/processor/vectorized.h"
#include "detent/kernels/codes/columns/column_kernels.h"
#include "detent/kernels/codes/layer_step_sums.h"
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
  float low, high;
  Inside inside;

  Borders(ScaleZero map, CodeRange codes)
      : low(static_cast<float>(codes.qmin - map.zero_point)),
        high(static_cast<float>(codes.qmax - map.zero_point)),
        inside(codes.qmin - map.zero_point, codes.qmax - map.zero_point) {}
};

/// Gradients and values in steps.
struct Block {
  alignas(64) float g[kBlock];
  alignas(64) float t[kBlock];
};

/// Half of the lanes: comparisons of longer vectors are not made by vectors by every compiler.
constexpr std::int64_t kHalf = kLanes / 2;
using Vector = float __attribute__((vector_size(kHalf * sizeof(float)), aligned(alignof(float)), may_alias));

DETENT_VECTORIZED void divide(const float* __restrict x, float scale, std::int64_t n, float* __restrict t) {
  for (std::int64_t i = 0; i < n; ++i) {
    t[i] = x[i] / scale;
  }
}

template <typename G>
DETENT_VECTORIZED void take_sums(const G* __restrict from, const std::int32_t* __restrict acc,
                                 const float* __restrict bias, const float* __restrict multiplier, float least,
                                 std::int64_t n, Block* __restrict block) {
  float* __restrict g = block->g;
  float* __restrict t = block->t;
  for (std::int64_t i = 0; i < n; ++i) {
    const float value = (static_cast<float>(acc[i]) + bias[i]) * multiplier[i];
    g[i] = promote(from[i]);
    t[i] = value > least ? value : least;
  }
}

template <typename G>
DETENT_VECTORIZED void take_narrow(const G* __restrict from, const std::int8_t* __restrict narrow,
                                   const float* __restrict start, const float* __restrict step, float least,
                                   std::int64_t n, Block* __restrict block) {
  float* __restrict g = block->g;
  float* __restrict t = block->t;
  for (std::int64_t i = 0; i < n; ++i) {
    const float value = start[i] + step[i] * static_cast<float>(narrow[i]);
    g[i] = promote(from[i]);
    t[i] = value > least ? value : least;
  }
}

/// REQUIRES: n is a multiple of kLanes.
DETENT_VECTORIZED void sum_block(const float* __restrict g, const float* __restrict in_steps, std::int64_t n,
                                 const Borders& borders, Lanes* __restrict sums) {
  constexpr float kShift = 12582912.0F;  // as in round_clamped
  const Vector zero = {};
  const Vector low = zero + borders.low, high = zero + borders.high;
  const Vector inside_low = zero + borders.inside.low, inside_high = zero + borders.inside.high;
  for (std::int64_t half = 0; half < kLanes; half += kHalf) {
    Vector inside = zero, above = zero, below = zero, at_top = zero, at_bottom = zero;
    for (std::int64_t i = half; i < n; i += kLanes) {
      const Vector gradient = *reinterpret_cast<const Vector*>(g + i);
      const Vector t = *reinterpret_cast<const Vector*>(in_steps + i);
      const Vector raised = t > low ? t : low;
      const Vector within = raised < high ? raised : high;
      const Vector term = gradient * (((within + kShift) - kShift) - t);
      inside += t >= inside_low ? (t <= inside_high ? term : zero) : zero;
      above += t > inside_high ? gradient : zero;
      below += t < inside_low ? gradient : zero;
      at_top += t >= high ? gradient : zero;
      at_bottom += t <= low ? gradient : zero;
    }
    *reinterpret_cast<Vector*>(sums->inside + half) = inside;
    *reinterpret_cast<Vector*>(sums->above + half) = above;
    *reinterpret_cast<Vector*>(sums->below + half) = below;
    *reinterpret_cast<Vector*>(sums->at_top + half) = at_top;
    *reinterpret_cast<Vector*>(sums->at_bottom + half) = at_bottom;
  }
}

double total(const float* lanes) {
  double sum = 0.0;
  for (std::int64_t lane = 0; lane < kLanes; ++lane) {
    sum += static_cast<double>(lanes[lane]);
  }
  return sum;
}

DETENT_VECTORIZED void pass_inside(const float* __restrict in_steps, std::int64_t n, Inside inside,
                                   float* __restrict g) {
  for (std::int64_t i = 0; i < n; ++i) {
    g[i] = ((in_steps[i] >= inside.low) & (in_steps[i] <= inside.high)) ? g[i] : 0.0F;
  }
}

StepSums sums_of(const float* g, const float* in_steps, std::int64_t n, const Borders& borders) {
  Lanes lanes;
  sum_block(g, in_steps, n, borders, &lanes);
  return {total(lanes.inside), total(lanes.above), total(lanes.below), total(lanes.at_top), total(lanes.at_bottom)};
}

/// Fills a block of `n` up to whole vectors with gradients of 0; the elements that it has then.
std::int64_t filled_up(Block& block, std::int64_t n) {
  const std::int64_t whole = (n + kLanes - 1) / kLanes * kLanes;
  std::fill(block.g + n, block.g + whole, 0.0F);
  std::fill(block.t + n, block.t + whole, 0.0F);
  return whole;
}

/// `done(first, n, block)` sees each part of the values, with what they are in steps.
template <typename Done>
StepSums sums_of_values(std::span<const float> g, std::span<const float> x, ScaleZero map, const Borders& borders,
                        Done&& done) {
  StepSums sums;
  Block block;
  const auto count = static_cast<std::int64_t>(x.size());
  const std::int64_t whole = count - count % kLanes;
  for (std::int64_t begin = 0; begin < whole; begin += kBlock) {
    const std::int64_t n = std::min(kBlock, whole - begin);
    divide(x.data() + begin, map.scale, n, block.t);
    sums.include(sums_of(g.data() + begin, block.t, n, borders));
    done(begin, n, block.t);
  }
  if (whole < count) {
    divide(x.data() + whole, map.scale, count - whole, block.t);
    std::copy_n(g.data() + whole, count - whole, block.g);
    sums.include(sums_of(block.g, block.t, filled_up(block, count - whole), borders));
    done(whole, count - whole, block.t);
  }
  return sums;
}

}  // namespace

StepSums step_sums(std::span<const float> g, std::span<const float> x, ScaleZero map, CodeRange codes) {
  return sums_of_values(g, x, map, Borders(map, codes), [](std::int64_t, std::int64_t, const float*) {});
}

StepSums step_sums_and_pass(std::span<float> g, std::span<const float> x, ScaleZero map, CodeRange codes) {
  const Borders borders(map, codes);
  return sums_of_values(g, x, map, borders, [&](std::int64_t first, std::int64_t n, const float* in_steps) {
    pass_inside(in_steps, n, borders.inside, g.data() + first);
  });
}

namespace {

/// `take(first, column, n, block)` makes the part of rows of O that begins at `first`, of tables that begin at
/// `column`.
template <typename Take>
StepSums sums_of_rows(std::int64_t rows, const Requantization& r, Take&& take) {
  const auto outputs = static_cast<std::int64_t>(r.multiplier.size());
  const Borders borders(r.output, r.codes);
  const std::int64_t period = period_of(outputs);
  StepSums sums;
  Block block;
  for (std::int64_t begin = 0; begin < rows * outputs; begin += period) {
    const std::int64_t end = std::min(begin + period, rows * outputs);
    for (std::int64_t i = begin; i < end; i += kBlock) {
      const std::int64_t n = std::min(kBlock, end - i);
      take(i, i - begin, n, &block);
      sums.include(sums_of(block.g, block.t, filled_up(block, n), borders));
    }
  }
  return sums;
}

float least_of(const Requantization& r) { return r.relu ? 0.0F : -std::numeric_limits<float>::infinity(); }

/// Tables for sums_of_rows.
ColumnTables<2> tables_of(const float* first, const float* second, const Requantization& r) {
  const auto outputs = static_cast<std::int64_t>(r.multiplier.size());
  return make_tables<2>({first, second}, outputs, period_of(outputs));
}

}  // namespace

template <typename G>
StepSums step_sums(const G* g, const std::int32_t* acc, std::int64_t rows, const Requantization& r) {
  const std::vector<float> no_bias(r.bias.empty() ? r.multiplier.size() : 0, 0.0F);
  const auto tables = tables_of(r.bias.empty() ? no_bias.data() : r.bias.data(), r.multiplier.data(), r);
  return sums_of_rows(rows, r, [&](std::int64_t first, std::int64_t column, std::int64_t n, Block* block) {
    take_sums(raw(g) + first, acc + first, tables[0] + column, tables[1] + column, least_of(r), n, block);
  });
}

template <typename G>
StepSums step_sums(const G* g, const std::int8_t* narrow, std::int64_t rows, const Requantization& r,
                   const float* center, const float* step) {
  std::vector<float> start, steps;
  for (std::size_t o = 0; o < r.multiplier.size(); ++o) {
    start.push_back((center[o] + (r.bias.empty() ? 0.0F : r.bias[o])) * r.multiplier[o]);
    steps.push_back(step[o] * r.multiplier[o]);
  }
  const auto tables = tables_of(start.data(), steps.data(), r);
  return sums_of_rows(rows, r, [&](std::int64_t first, std::int64_t column, std::int64_t n, Block* block) {
    take_narrow(raw(g) + first, narrow + first, tables[0] + column, tables[1] + column, least_of(r), n, block);
  });
}

float narrow_error(const Requantization& r, std::span<const float> step) {
  float error = 0.0F;
  for (std::size_t o = 0; o < step.size(); ++o) {
    error = std::max(error, step[o] * r.multiplier[o] / 2.0F);
  }
  return error;
}

template StepSums step_sums(const float*, const std::int32_t*, std::int64_t, const Requantization&);
template StepSums step_sums(const bfloat16*, const std::int32_t*, std::int64_t, const Requantization&);
template StepSums step_sums(const float*, const std::int8_t*, std::int64_t, const Requantization&, const float*,
                            const float*);
template StepSums step_sums(const bfloat16*, const std::int8_t*, std::int64_t, const Requantization&, const float*,
                            const float*);

}  // namespace detent::kernels
