#include "detent/evaluation/evidence/confidence.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "detent/core/error.h"
#include "detent/runtime/predictor/predictor.h"

namespace detent::evaluation {

Confidence confidence_of(std::span<const float> outputs, std::int32_t predicted, bool are_probabilities) {
  const double largest = double{outputs[static_cast<std::size_t>(predicted)]};
  double second = -HUGE_VAL;
  double sum = 0.0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const double output = double{outputs[i]};
    if (!std::isfinite(output)) {
      return {};
    }
    sum += std::exp(output - largest);
    second = i == static_cast<std::size_t>(predicted) ? second : std::max(second, output);
  }
  if (are_probabilities) {
    const double other = outputs.size() == 1 ? 0.0 : second;
    return {static_cast<float>(largest), static_cast<float>(largest - other)};
  }
  return {static_cast<float>(1.0 / sum), static_cast<float>((1.0 - std::exp(second - largest)) / sum)};
}

bool gives_probabilities(const nn::Graph& graph) {
  const nn::Graph::Node& node = graph.node(graph.output());
  return node.module != nullptr && (node.module->kind() == "softmax" || node.module->kind() == "qat_softmax");
}

bool gives_probabilities(const runtime::Model& model) { return runtime::ends_in_softmax(model); }

double calibration_error(std::span<const float> confidences, std::span<const std::int32_t> predictions,
                         std::span<const std::int32_t> labels) {
  check(confidences.size() == labels.size() && predictions.size() == labels.size(),
        "calibration error: expected confidences and predictions of ", labels.size(), " examples, got ",
        confidences.size(), " and ", predictions.size());
  std::array<double, kCalibrationBins> surplus{};  // of confidence over what is right, summed
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const double confidence = std::clamp(double{confidences[i]}, 0.0, 1.0);
    const auto bin =
        static_cast<std::size_t>(std::max(std::ceil(confidence * static_cast<double>(kCalibrationBins)) - 1.0, 0.0));
    surplus[bin] += confidence - (predictions[i] == labels[i] ? 1.0 : 0.0);
  }
  double sum = 0.0;
  for (const double bin : surplus) {
    sum += std::abs(bin);
  }
  return labels.empty() ? 0.0 : sum / static_cast<double>(labels.size());
}

}  // namespace detent::evaluation
