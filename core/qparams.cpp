#include "detent/core/qparams.h"

#include <cmath>

namespace detent {
namespace {

void check_bits(int bits) { check(bits >= 1 && bits <= 8, "codes: expected 1 to 8 bits, got ", bits); }

}  // namespace

CodeRange unsigned_codes(int bits) {
  check_bits(bits);
  return {0, (1 << bits) - 1};
}

CodeRange signed_codes(int bits) {
  check_bits(bits);
  const std::int32_t largest = bits == 1 ? 1 : (1 << (bits - 1)) - 1;
  return {-largest, largest};
}

void QParams::validate() const {
  check(!scale.empty() && scale.size() == zero_point.size(), "qparams: expected as many zero points as scales, got ",
        zero_point.size(), " and ", scale.size());
  check(is_per_channel() || scale.size() == 1, "qparams: expected one scale for a whole tensor, got ", scale.size());
  check(groups >= 1 &&
            (is_per_group() ? is_per_channel() && scale.size() % static_cast<std::size_t>(groups) == 0 : groups == 1),
        "qparams: expected whole channels of at least one group, got ", scale.size(), " scales, ", groups,
        " groups a channel of ", group, " elements");
  check(codes.qmin < codes.qmax, "qparams: expected qmin < qmax, got ", codes.qmin, " and ", codes.qmax);
  for (std::size_t i = 0; i < scale.size(); ++i) {
    check(std::isfinite(scale[i]) && scale[i] > 0, "qparams: expected a finite scale > 0, got ", scale[i],
          " for channel ", i);
    check(zero_point[i] >= codes.qmin && zero_point[i] <= codes.qmax, "qparams: expected a zero point in [", codes.qmin,
          ", ", codes.qmax, "], got ", zero_point[i], " for channel ", i);
  }
}

}  // namespace detent
