#include "detent/kernels/codes/dynamic_codes.h"

#include "detent/kernels/codes/quantize.h"

namespace detent::kernels {

ScaleZero dynamic_map(std::span<const float> x, CodeRange codes) {
  const MinMax seen = min_max(x);
  const MinMax range = seen.empty() ? MinMax{0.0F, 0.0F} : seen;
  return choose_qparams(range.min, range.max, codes, Scheme::Affine);
}

ScaleZero quantize_dynamic(std::span<const float> x, CodeRange codes, std::uint8_t* q) {
  const ScaleZero map = dynamic_map(x, codes);
  quantize(x, map, codes, q);
  return map;
}

}  // namespace detent::kernels
