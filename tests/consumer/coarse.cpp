// A quantizer of one's own: its scales are rounded up to 4 significant bits, as for a target that multiplies by short
// integers.
#include <cmath>

#include "detent/kernels/codes/quantize.h"
#include "detent/quant/quantizers/map_rule.h"
#include "parts.h"

namespace consumer {

using namespace detent;

void add_coarse() {
  quant::register_map_rule("coarse", [](const MinMax& range, CodeRange codes, Scheme scheme) {
    int exponent = 0;
    const float scale = choose_qparams(range.min, range.max, codes, scheme).scale;
    const float mantissa = std::ceil(std::frexp(scale, &exponent) * 16.0F) / 16.0F;
    return qparams_of_scale(range.min, std::ldexp(mantissa, exponent), codes, scheme);
  });
}

}  // namespace consumer
