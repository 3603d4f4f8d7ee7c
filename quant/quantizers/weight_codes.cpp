#include "detent/quant/quantizers/weight_codes.h"

#include <algorithm>

#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/codes/sign_codes.h"

namespace detent::quant {
namespace {

constexpr float kTernaryShare = 0.7F;

MinMax both_sides(float size) { return {-size, size}; }

}  // namespace

MinMax WeightCodes::range(const QuantizerSpec& spec, std::span<const float> values) {
  if (!grid_.is_ternary && (grid_.bits > 1 || spec.range.is_said())) {
    return range_of(spec.range, spec.range_target(), values);
  }
  if (kernels::min_max(values).empty()) {
    return {};
  }
  const auto mean = static_cast<float>(kernels::mean_magnitude(values));
  if (!grid_.is_ternary) {
    return both_sides(mean);
  }
  threshold_ = kTernaryShare * mean;
  return both_sides(static_cast<float>(kernels::mean_magnitude(values, threshold_)));
}

WeightCodes::WeightCodes(const QuantizerSpec& spec, std::span<const float> values, std::string_view what)
    : grid_(spec.grid) {
  const MinMax covered = range(spec, values);
  check(!covered.empty(), "weights: no finite value in ", what, "; training has diverged");
  scale_ = spec.map_of(covered).scale;
}

void WeightCodes::fit(float bias, float input_scale) {
  const float needed = scale_for_bias(scale_, bias, input_scale);
  if (needed > scale_) {
    scale_ = needed;
    threshold_ = std::max(threshold_, scale_ / 2);
  }
}

void WeightCodes::quantize(std::span<const float> values, std::int8_t* codes) const {
  if (grid_.is_ternary) {
    kernels::quantize_ternary(values, threshold_, codes);
  } else if (grid_.bits == 1) {
    kernels::quantize_signs(values, codes);
  } else {
    kernels::quantize(values, {scale_, 0}, grid_.codes(), codes);
  }
}

}  // namespace detent::quant
