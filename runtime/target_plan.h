#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "detent/kernels/codes/targets/rounding_target.h"
#include "detent/runtime/model.h"

namespace detent::runtime {

/// Whose rule makes the codes of an operation.
enum class RuleUsed : std::uint8_t {
  None,     ///< nothing is rounded: a max-pool, a reshape; or the values are no codes
  Target,   ///< the target's
  Detents,  ///< Detent's: the target has no such operation
};

/// A model as another framework's rounding rules compute it, to see what becomes of its codes there
/// (kernels/codes/targets/rounding_target.h). An executor for comparison: values are all kept, and layers are not
/// fused.
///
/// Sums of products are those of the integer kernels; what follows is the target's, each operation on what the one
/// before gave under the same rules. A table of codes that is that of a known activation function, or takes one map to
/// another, is made again by the target. Detent's rule stays where a target has none: products with a scale a group of
/// weights, other tables, custom operations, and TFLite's softmax. Operations of floats are Detent's.
///
/// With RoundingTarget::Detent all values are those of Plan.
class TargetPlan {
 public:
  /// REQUIRES: batch >= 1. Throws Error as Model::validate.
  TargetPlan(const Model& model, std::int64_t batch, kernels::RoundingTarget target);

  /// All values by ValueId, [batch, ...shape]; they hold until the next run. Throws Error for inputs that do not fit.
  std::vector<Tensor> run(std::span<const Tensor> inputs) const;

  RuleUsed rule(std::size_t node) const { return steps_[node].rule; }
  std::int64_t batch() const { return batch_; }

  /// Makes a node's output from all values before it.
  using Compute = std::function<Tensor(std::span<const Tensor> values)>;

 private:
  struct Step {
    Compute compute;
    RuleUsed rule;
  };

  Model model_;
  std::int64_t batch_;
  std::vector<Step> steps_;
};

}  // namespace detent::runtime
