#pragma once

#include <cstdint>
#include <span>

/// Weights of 1 bit and ternary ones: their codes by their signs, and the means that their scales are made of.
namespace detent::kernels {

/// The mean of |x| over the finite elements with |x| > `above`, in double; 0 where there are none. The
/// same on every processor. Single-threaded, vectorized.
double mean_magnitude(std::span<const float> x, float above = -1.0F);

/// q = x >= 0 ? 1 : -1. 0 and -0 give 1, infinities their sign, NaN -1.
void quantize_signs(std::span<const float> x, std::int8_t* q);

/// q = x > threshold ? 1 : x >= -threshold ? 0 : -1. Infinities give their sign, NaN -1. REQUIRES: threshold >= 0.
void quantize_ternary(std::span<const float> x, float threshold, std::int8_t* q);

}  // namespace detent::kernels
