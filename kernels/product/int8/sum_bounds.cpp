#include "detent/kernels/product/int8/sum_bounds.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace detent::kernels {
namespace {

constexpr double kExactInF32 = 1 << 24;
constexpr double kLargestCode = 1 << 30;

}  // namespace

SumBounds bounds_of_sums(const ConvShape& shape, const std::int8_t* weight, std::int32_t x_zero_point,
                         const Requantization& r) {
  SumBounds bounds;
  const std::int64_t depth = shape.depth();
  const std::int64_t reach = std::max<std::int64_t>(x_zero_point, 255 - x_zero_point);
  for (std::int64_t o = 0; o < shape.o; ++o) {
    const auto output = static_cast<std::size_t>(o);
    std::int64_t magnitude = 0;
    for (std::int64_t k = 0; k < depth; ++k) {
      magnitude += std::abs(int{weight[o * depth + k]});
    }
    const double bias = r.bias.empty() ? 0.0 : double{r.bias[output]};
    const double bound = static_cast<double>(magnitude * reach) + std::abs(bias);
    bounds.is_bias_exact = bounds.is_bias_exact && (bias == 0.0 || bound < kExactInF32);
    bounds.codes_fit = bounds.codes_fit && bound * static_cast<double>(r.multiplier[output]) < kLargestCode;
  }
  return bounds;
}

}  // namespace detent::kernels
