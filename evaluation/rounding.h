#pragma once

#include <span>
#include <string>
#include <vector>

#include "detent/evaluation/evaluate.h"
#include "detent/runtime/target_plan.h"

/// What becomes of an int8 model where others round by their own rules (kernels/codes/targets/rounding_target.h).
namespace detent::evaluation {

/// The codes of one operation under a target's rules, beside Detent's.
struct LayerRounding {
  std::string name = {};
  std::string operation = {};  ///< runtime::name_of
  runtime::RuleUsed rule = runtime::RuleUsed::Target;
  std::int64_t codes = 0;
  std::int64_t differing = 0;
  int largest = 0;  ///< |target's code - Detent's|
  double share() const { return codes == 0 ? 0.0 : static_cast<double>(differing) / static_cast<double>(codes); }
};

struct TargetRounding {
  kernels::RoundingTarget target = kernels::RoundingTarget::Detent;
  std::vector<LayerRounding> layers = {};  ///< of codes, in running order; without reshapes, which repeat their input's
  LayerRounding total = {};                ///< of all layers
  std::int64_t images = 0;
  TargetScore score = {};                ///< against the targets
  std::int64_t predictions_changed = 0;  ///< images for which Detent's plan answers otherwise (answers.h); 0 of values
  double accuracy() const { return score.value(); }  ///< the share that is right, of values R2
  /// The layers that Detent's rule computed, because the target has none.
  std::vector<std::string> detents_layers() const;
};

/// Runs `model` on `dataset` once by its plan, and once by each target's rules, every operation on what the one before
/// gave under the same rules. Throws Error for a model of floats: it has no codes.
std::vector<TargetRounding> evaluate_rounding(const runtime::Model& model,
                                              std::span<const kernels::RoundingTarget> targets,
                                              const data::Dataset& dataset, const data::Normalization& normalization,
                                              Reporter& reporter);

}  // namespace detent::evaluation
