#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "detent/data/dataset.h"
#include "detent/evaluation/evidence/slices.h"
#include "detent/evaluation/significance.h"

/// Evidence of models whose targets are no classes: an error an example in place of right and wrong.
namespace detent::evaluation {

/// Appends the error of each example of a batch: of K values the mean of |output - target|, of K flags the share that
/// is wrong, where an output says yes if it is above 0. Outputs [B, K] f32, or bf16 as products give it. REQUIRES:
/// targets f32 [B, K] of this kind, which are no classes.
void append_errors(const Tensor& outputs, const Tensor& targets, data::TargetKind kind, std::vector<float>& errors);

/// What changed in the errors of two models on a slice.
struct ErrorChange {
  std::string slice = {};
  std::int64_t examples = 0;
  double error_a = 0.0, error_b = 0.0;  ///< means over the examples
  /// Where the mean of the differences lies at a confidence of 95 %: d -+ 1.959964 s / sqrt(n), with d the mean of
  /// error_b - error_a over n examples and s their deviation; of one example d alone.
  Interval interval = {};
  double change() const { return error_b - error_a; }
};
/// REQUIRES: errors of the same examples; at least one in the slice.
ErrorChange error_change_in(const Slice& slice, std::span<const float> a, std::span<const float> b);
/// The mean of `errors` in a slice.
double mean_error_in(const Slice& slice, std::span<const float> errors);

}  // namespace detent::evaluation
