#pragma once

#include "detent/kernels/codes/quantize.h"
#include "detent/kernels/product/conv.h"

namespace detent::kernels {

/// What holds of the sums of an integer product with their bias, whatever its codes are. Private to kernels/product.
struct SumBounds {
  /// Sums with their bias stay below 2^24, where f32 is exact: the bias may as well be added as an integer.
  bool is_bias_exact = true;
  bool codes_fit = true;  ///< codes before clamping stay below 2^30
};

/// Weight codes O KH KW I, of which `r` has one scale an output.
SumBounds bounds_of_sums(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                         const Requantization& r);

}  // namespace detent::kernels
