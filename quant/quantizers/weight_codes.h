#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "detent/quant/quantizers/quantizer_spec.h"

namespace detent::quant {

/// The scale of weights that share one, and their codes, s8, by the grid:
///
///   integers   scale of the range (RangeSpec, MapRule);    code = quantize(w)
///   signs      scale = mean |w|, or that of a range        code = w >= 0 ? 1 : -1
///              that is said (Rastegari et al. 2016,
///              XNOR-Net)
///   ternary    t = 0.7 * mean |w|, scale = the mean of     code = w > t ? 1 : w < -t ? -1 : 0
///              |w| over |w| > t (Li, Zhang, Liu 2016,
///              Ternary Weight Networks)
///
/// Means are over finite weights. Like every scale these are brought to a map by the spec's rule (power-of-two) and are
/// at least 2^-60: weights of 0 have that scale, and the codes 1, or 0 of ternary ones. A NaN has the smallest code, an
/// infinity the one of its sign.
class WeightCodes {
 public:
  /// Measures `values`. Throws Error where none of them is finite, or there are none: "no finite value in <what>".
  WeightCodes(const QuantizerSpec& spec, std::span<const float> values, std::string_view what);
  /// On a scale that is given (one that is learned); the codes are then the nearest ones, t = scale / 2.
  WeightCodes(const QuantizerSpec& spec, float scale) : grid_(spec.grid), scale_(scale), threshold_(scale / 2) {}

  float scale() const { return scale_; }
  /// Raises the scale where `bias` would not fit beside it (scale_for_bias). Integers are then rounded on it. Ternary
  /// codes become the nearest ones, t = max(t, scale / 2). Signs stay: a unit of their product is then 2^-30 of the
  /// bias, too little to matter.
  void fit(float bias, float input_scale);
  /// The codes of some of the values.
  void quantize(std::span<const float> values, std::int8_t* codes) const;

 private:
  MinMax range(const QuantizerSpec& spec, std::span<const float> values);

  IntegerGrid grid_;
  float scale_ = 1.0F;
  float threshold_ = 0.0F;  // of ternary codes
};

}  // namespace detent::quant
