#include "detent/evaluation/targets/target_loss.h"

#include <algorithm>
#include <cmath>

#include "detent/core/error.h"
#include "detent/kernels/layers/loss.h"
#include "detent/kernels/layers/target_loss.h"

namespace detent::evaluation {
namespace {

constexpr float kLeastProbability = 0x1p-24F;

double cross_entropy(const Tensor& outputs, const Tensor& labels, bool are_probabilities) {
  std::vector<float> logits(outputs.data<float>().begin(), outputs.data<float>().end());
  for (float& x : logits) {
    x = are_probabilities ? std::log(std::max(x, kLeastProbability)) : x;
  }
  std::vector<float> probabilities(logits.size());
  return kernels::cross_entropy_forward(logits.data(), labels.data<std::int32_t>().data(), outputs.shape()[0],
                                        outputs.shape().row_elements(), 0.0, probabilities.data());
}

}  // namespace

double target_loss(const Tensor& outputs, const Tensor& labels, data::TargetKind targets, bool are_probabilities) {
  const Tensor values = outputs.as(DType::F32, nullptr);
  if (targets == data::TargetKind::kClasses) {
    return cross_entropy(values, labels, are_probabilities);
  }
  check(values.shape() == labels.shape(), "loss: expected outputs like the targets ", labels.shape(), ", got ",
        values.shape());
  const float* const given = values.data<float>().data();
  const float* const wanted = labels.data<float>().data();
  return targets == data::TargetKind::kValues
             ? kernels::mean_squared_error_forward(given, wanted, values.elements())
             : kernels::binary_cross_entropy_forward(given, wanted, values.shape()[0], values.shape().row_elements(),
                                                     std::span<const double>());
}

const char* loss_name(data::TargetKind targets) {
  switch (targets) {
    case data::TargetKind::kClasses:
      return "cross-entropy";
    case data::TargetKind::kValues:
      return "squared error";
    case data::TargetKind::kFlags:
      return "binary cross-entropy";
  }
  return "";
}

}  // namespace detent::evaluation
