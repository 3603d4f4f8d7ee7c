#include "detent/quant/quantizers/gradients/rules.h"

namespace detent::quant {

std::vector<GradientRuleKind> standard_gradient_rules() {
  return {straight_through_rule(), lsq_rule(), lsq_plus_rule(), pact_rule(), dorefa_rule()};
}

}  // namespace detent::quant
