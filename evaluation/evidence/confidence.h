#pragma once

#include <cstdint>
#include <span>

#include "detent/nn/graph.h"
#include "detent/runtime/model.h"

/// How sure a model of classes is of what it says.
namespace detent::evaluation {

/// Of one example. The probability of a class is softmax(outputs), or the output itself where the model ends in a
/// softmax. Both are 0 where an output is not finite.
struct Confidence {
  float confidence = 0.0F;  ///< the probability of the prediction
  float margin = 0.0F;      ///< that, less the probability of the likeliest other class; of one class alone, 1
};
/// REQUIRES: at least one output; `predicted` is one of the largest.
Confidence confidence_of(std::span<const float> outputs, std::int32_t predicted, bool are_probabilities);

/// Whether what the model gives are probabilities: whether it ends in a softmax.
bool gives_probabilities(const nn::Graph& graph);
bool gives_probabilities(const runtime::Model& model);

/// The calibration error of n predictions (expected calibration error: Naeini et al. 2015; Guo et al. 2017, equation 3,
/// with their 15 bins): how far confidence is from the share that is right.
///   bin m of M = 15 holds the confidences in ((m - 1) / M, m / M], the first 0 as well
///   sum over m of |bin m| / n * |accuracy of bin m - mean confidence of bin m|, in [0, 1]; 0 without predictions
/// REQUIRES: as many of each.
double calibration_error(std::span<const float> confidences, std::span<const std::int32_t> predictions,
                         std::span<const std::int32_t> labels);
inline constexpr std::size_t kCalibrationBins = 15;

}  // namespace detent::evaluation
