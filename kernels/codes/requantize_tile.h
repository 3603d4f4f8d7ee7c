#pragma once

#include <algorithm>
#include <cstdint>

#include "detent/core/qparams.h"
#include "detent/kernels/codes/rounding.h"

/// requantize() of sums that lie in registers, the same operations in the same order: what the twins for each vector
/// unit share, and the twin in plain C++. Private to kernels/product.
namespace detent::kernels {

/// The constants of the outputs of a tile.
///
/// REQUIRES: |(sum + bias) * multiplier + zero_point| < 2^31, so that the conversion does not overflow; then clamping
/// the rounded integers is clamping before rounding, since the bounds are integers.
struct TileRequantization {
  const float* bias = nullptr;  ///< not read where the sums have it in them already
  const float* multiplier = nullptr;
  float zero_point = 0;
  std::uint8_t lower = 0, upper = 255;
};

/// What is made of the rounded codes of a tile: requantize_add of them and another tensor's.
///
/// REQUIRES: |code before rounding| < 2^31; TileRequantization then has the clamps of the sum.
struct TileAddition {
  float lower = 0, upper = 255;  ///< of the tile's own codes
  Addition maps = {};            ///< a: the tile's
};

/// What training wants of a tile beside its codes: see requantize().
struct TileObservation {
  const float* real_scale = nullptr;
  float positive = 0;            ///< what a real value must exceed for its gradient to pass
  Inside inside{0, 0};           ///< the codes before clamping whose gradient passes
  float* seen = nullptr;         ///< [2][16]: the smallest and largest real values so far, by lane
  std::uint8_t* mask = nullptr;  ///< of the first pixel
  std::int64_t mask_stride = 0;  ///< bytes from pixel to pixel
};

/// Where the largest values begin in TileObservation::seen.
inline constexpr int kSeenLanes = 16;

/// The memory of TileObservation::seen, which has seen nothing yet.
struct SeenByLane {
  float lanes[2 * kSeenLanes];
  SeenByLane() {
    std::fill_n(lanes, kSeenLanes, MinMax{}.min);
    std::fill_n(lanes + kSeenLanes, kSeenLanes, MinMax{}.max);
  }
  void include_in(MinMax& seen) const {
    for (int lane = 0; lane < kSeenLanes; ++lane) {
      seen.include({lanes[lane] + 0.0F, lanes[kSeenLanes + lane] + 0.0F});  // -0 to 0, as requantize does
    }
  }
};

/// Eight numbers for processors without the vector units, which compilers may still vectorize.
template <typename T>
struct PlainVector {
  T lane[8] = {};
};

/// (float(sum) + bias) * multiplier + zero_point
template <bool kBias>
float unrounded(std::int32_t sum, const TileRequantization& r, int output) {
  float value = static_cast<float>(sum);
  if constexpr (kBias) {
    value = value + r.bias[output];
  }
  return value * r.multiplier[output] + r.zero_point;
}

/// rne of it for 8 outputs, clamped to [0, 255].
template <bool kBias>
PlainVector<std::int32_t> requantize_vector(const PlainVector<std::int32_t>& sum, const TileRequantization& r,
                                            int first) {
  PlainVector<std::int32_t> q;
  for (int i = 0; i < 8; ++i) {
    q.lane[i] = round_clamped(unrounded<kBias>(sum.lane[i], r, first + i), 0.0F, 255.0F);
  }
  return q;
}

/// The sums of the codes of 8 outputs and those at `other`, rounded.
template <bool kBias>
PlainVector<std::int32_t> requantize_and_add(const PlainVector<std::int32_t>& sum, const TileRequantization& r,
                                             int first, const TileAddition& addition, const std::uint8_t* other) {
  PlainVector<std::int32_t> q;
  for (int i = 0; i < 8; ++i) {
    const float code = unrounded<kBias>(sum.lane[i], r, first + i);
    const std::int32_t own = round_clamped(code, addition.lower, addition.upper);
    q.lane[i] = round_clamped(added(own, other[i], addition.maps).code, 0.0F, 255.0F);
  }
  return q;
}

/// Rounded codes of four vectors, clamped, side by side.
inline PlainVector<std::int32_t> clamp_and_pack(const PlainVector<std::int32_t> (&q)[4], const TileRequantization& r) {
  PlainVector<std::int32_t> packed;
  auto* const codes = reinterpret_cast<std::uint8_t*>(packed.lane);
  for (int i = 0; i < 32; ++i) {
    codes[i] = static_cast<std::uint8_t>(
        std::clamp<std::int32_t>(q[i / 8].lane[i % 8], std::int32_t{r.lower}, std::int32_t{r.upper}));
  }
  return packed;
}

/// The ranges of real values that tiles see.
struct PlainSeen {
  using Mask = std::uint8_t;
  PlainVector<float> low, high;
  explicit PlainSeen(const float* seen) {
    std::copy_n(seen, 8, low.lane);
    std::copy_n(seen + kSeenLanes, 8, high.lane);
  }
  void store(float* seen) const {
    std::copy_n(low.lane, 8, seen);
    std::copy_n(high.lane, 8, seen + kSeenLanes);
  }
};

/// 8 outputs from `first` on: makes of their sums codes before clamping to the map; adds what was seen to `seen`, and
/// gives the mask.
inline std::uint8_t observe_vector(PlainVector<std::int32_t>& sum, const TileRequantization& r,
                                   const TileObservation& o, int first, PlainSeen& seen) {
  unsigned mask = 0;
  for (int i = 0; i < 8; ++i) {
    const float value = static_cast<float>(sum.lane[i]) + r.bias[first + i];
    const float code = value * r.multiplier[first + i] + r.zero_point;
    const bool passes = code >= o.inside.low && code <= o.inside.high && value > o.positive;
    mask |= passes ? 1U << i : 0U;
    const float real = std::max(value * o.real_scale[first + i], o.positive);
    seen.low.lane[i] = std::min(seen.low.lane[i], real);
    seen.high.lane[i] = std::max(seen.high.lane[i], real);
    sum.lane[i] = round_clamped(code, 0.0F, 255.0F);
  }
  return static_cast<std::uint8_t>(mask);
}

}  // namespace detent::kernels
