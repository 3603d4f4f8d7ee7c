#include "detent/quant/quantizers/ranges/rules.h"

namespace detent::quant {

std::deque<RangeRuleKind> standard_range_rules() {
  return {
      min_max_rule(), moving_average_rule(), percentile_rule(), histogram_rule(), mse_rule(), kl_rule(), fixed_rule(),
  };
}

}  // namespace detent::quant
