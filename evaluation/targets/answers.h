#pragma once

#include <cstdint>
#include <vector>

#include "detent/data/dataset.h"

namespace detent::evaluation {

/// What a model says of examples, of which two models can say the same: of classes the number of the largest output, of
/// flags each one's yes or no. Of real numbers that is nothing: how far they differ is another measure.
struct Answers {
  data::TargetKind targets = data::TargetKind::kClasses;
  std::int64_t width = 0;               ///< numbers an example, once there is one
  std::vector<std::int32_t> said = {};  ///< example by example

  /// Takes in a batch of outputs [B, K], f32 or as products give them. An output says yes where it is above 0.
  void add(const Tensor& outputs);
  bool are_comparable() const { return targets != data::TargetKind::kValues; }
};

/// For how many examples a and b do not say the same; 0 of values. REQUIRES: both of the same examples.
std::int64_t count_changed(const Answers& a, const Answers& b);

}  // namespace detent::evaluation
