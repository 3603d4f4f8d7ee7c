#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "detent/core/error.h"

/// What codes mean: real = scale * (q - zero_point). How they are made: kernels/codes/quantize.h.
namespace detent {

/// The largest and the smallest code, and whether codes are stored as u8 or s8: is_signed() is qmin < 0.
struct CodeRange {
  std::int32_t qmin = 0;
  std::int32_t qmax = 255;
  bool is_signed() const { return qmin < 0; }
  bool operator==(const CodeRange&) const = default;
};

/// Codes of an activation of `bits` bits: [0, 2^bits - 1]. REQUIRES: 1 <= bits <= 8; throws Error otherwise.
CodeRange unsigned_codes(int bits);
/// Codes of a weight of `bits` bits: [-m, m], m = 2^(bits-1) - 1, which is symmetric; of 1 bit the signs, -1 and 1.
CodeRange signed_codes(int bits);

enum class Scheme : std::uint8_t {
  Affine,     ///< any zero point: the range is [min(lo, 0), max(hi, 0)]
  Symmetric,  ///< zero point 0: the range is [-m, m], m = max(|lo|, |hi|)
};

/// Scale and zero point of one tensor, or of one channel of it.
struct ScaleZero {
  float scale = 1.0F;           ///< finite, > 0
  std::int32_t zero_point = 0;  ///< itself a code, so real 0 is always exact
  bool operator==(const ScaleZero&) const = default;
};

/// The map of a tensor's codes to reals: one ScaleZero for all (axis < 0), or one a channel along `axis`, or `groups` a
/// channel: of the tensor's last axis (a weight's input channels) each `group` elements have one, the last group those
/// that are left.
struct QParams {
  std::vector<float> scale;
  std::vector<std::int32_t> zero_point;  ///< as long as `scale`
  int axis = -1;
  CodeRange codes;
  std::int64_t group = 0;   ///< 0: a channel has one
  std::int64_t groups = 1;  ///< of a channel, whose scales stand one behind the other

  static QParams per_tensor(ScaleZero map, CodeRange codes) { return {{map.scale}, {map.zero_point}, -1, codes}; }
  bool is_per_channel() const { return axis >= 0; }
  bool is_per_group() const { return group > 0; }
  std::size_t channels() const { return scale.size() / static_cast<std::size_t>(groups); }
  ScaleZero at(std::size_t channel) const { return {scale[channel], zero_point[channel]}; }
  /// The scale of a channel, also where all channels have one; of groups the largest.
  float scale_of(std::size_t channel) const {
    const auto first = scale.begin() + static_cast<std::ptrdiff_t>(is_per_channel() ? channel : 0) * groups;
    return *std::max_element(first, first + groups);
  }
  /// That of one of its groups; where it has none, of_group is 0.
  float scale_of(std::size_t channel, std::int64_t of_group) const {
    return scale[(is_per_channel() ? channel : 0) * static_cast<std::size_t>(groups) +
                 static_cast<std::size_t>(of_group)];
  }
  /// The group that an input channel of weights is in.
  std::int64_t group_of(std::int64_t input_channel) const { return is_per_group() ? input_channel / group : 0; }
  /// The one map of a per-tensor tensor. Throws Error where there is one a channel.
  ScaleZero tensor() const {
    check(!is_per_channel() && scale.size() == 1, "qparams: expected one scale for the tensor, it has one a channel");
    return at(0);
  }
  /// Throws Error unless scales are finite and positive and zero points are codes.
  void validate() const;
  bool operator==(const QParams&) const = default;
};

/// The groups of `size` that `channels` input channels have, the last one those that are left.
inline std::int64_t groups_of(std::int64_t channels, std::int64_t size) { return (channels + size - 1) / size; }

/// The smallest and largest of some numbers. Empty: min > max.
struct MinMax {
  float min = 3.402823466e+38F;
  float max = -3.402823466e+38F;
  bool empty() const { return min > max; }
  void include(MinMax other) {
    min = other.min < min ? other.min : min;
    max = other.max > max ? other.max : max;
  }
  bool operator==(const MinMax&) const = default;
};

}  // namespace detent
