#pragma once

#include "detent/quant/quantizers/gradients/gradient_rule.h"

/// The rules of the library: one source each.
namespace detent::quant {

inline constexpr std::string_view kStraightThroughRule = "straight-through";

/// Nothing is learned of a map (Bengio et al. 2013, with the clip mask that all rules have).
GradientRuleKind straight_through_rule();
/// The step is learned (LSQ, Esser et al. 2020): of weights a tensor, channel or group, and of activations, whose zero
/// point stays that of the first batch.
///   dL/ds = sum g * (rne(t) - t) inside, g * (qmin - zero_point) below, g * (qmax - zero_point) above
/// It is multiplied by 1 / sqrt(extent * count), extent the codes on the larger side of the zero point (qmax, where
/// that is 0). s begins with 2 mean|x| / sqrt(extent), or with what a range rule that is said gives.
GradientRuleKind lsq_rule();
/// Step and offset of affine activations are learned (LSQ+, Bhalgat et al. 2020): y = s (q - qmin) + b.
///   dL/ds as in LSQ inside, g * (qmax - qmin) above and 0 below;  dL/db = sum g above and below
/// Both are multiplied as in LSQ. The map's zero point is the code nearest to 0, clamp(qmin - rne(b / s), qmin, qmax),
/// so that real 0 stays exact: the offset in force is b rounded to whole steps. The first map is that of the range.
GradientRuleKind lsq_plus_rule();
/// The level alpha is learned above which activations are clipped (PACT, Choi et al. 2018): y = clamp(x, 0, alpha),
///   dL/dalpha = sum g where x >= alpha, + decay * alpha  (L2: `pact decay`, 0 where it is not said)
/// The scale is alpha / qmax, and alpha begins with the range. Where values can be negative, which PACT does not know,
/// the zero point stays that of the first batch, alpha is the end of the range on its larger side, and the other end
/// moves with it.
/// The loss may be scaled (precision "fp16"), the decay is not: there it counts by so much less.
GradientRuleKind pact_rule();
/// DoReFa-Net (Zhou et al. 2016). Weights: tanh(w) / max|tanh(w)|, the gradient through tanh but not through the
/// maximum, before a batch norm is folded, then the symmetric grid of the spec. The paper's grid of k bits has the
/// 2^k levels 2i / (2^k - 1) - 1, none of which is 0; the one here has 2^k - 1 levels with 0 among them, which integer
/// products want. Activations: clamp(x, 0, 1), the range rule `fixed 0 1` unless one is said.
GradientRuleKind dorefa_rule();

std::vector<GradientRuleKind> standard_gradient_rules();

}  // namespace detent::quant
