#include "detent/quant/kinds/product/folded_batch_norm.h"

#include <algorithm>
#include <cmath>

namespace detent::quant {
namespace {

constexpr float kSmallestFactor = 1e-3F;

}  // namespace

float FoldedBatchNorm::gamma(std::size_t channel) const {
  return module_->settings().affine ? module_->weight().value.data<float>()[channel] : 1.0F;
}

float FoldedBatchNorm::beta(std::size_t channel) const {
  return module_->settings().affine ? module_->bias().value.data<float>()[channel] : 0.0F;
}

double FoldedBatchNorm::mean(std::size_t channel) const { return module_->running_mean().data<float>()[channel]; }

double FoldedBatchNorm::deviation(std::size_t channel) const {
  return std::sqrt(double{module_->running_variance().data<float>()[channel]} + module_->settings().epsilon);
}

std::vector<float> FoldedBatchNorm::factor() const {
  std::vector<float> factor(module_->running_variance().data<float>().size());
  for (std::size_t o = 0; o < factor.size(); ++o) {
    factor[o] = static_cast<float>(double{gamma(o)} / deviation(o));
  }
  return factor;
}

std::vector<float> FoldedBatchNorm::training_factor() const {
  std::vector<float> result = factor();
  for (float& f : result) {
    if (std::abs(f) < kSmallestFactor) {
      f = std::copysign(kSmallestFactor, f);
    }
  }
  return result;
}

std::vector<float> FoldedBatchNorm::bias(std::span<const float> layer_bias) const {
  const std::span<const float> mean = module_->running_mean().data<float>();
  std::vector<float> result = factor();
  for (std::size_t o = 0; o < result.size(); ++o) {
    const float centered = (layer_bias.empty() ? 0.0F : layer_bias[o]) - mean[o];
    result[o] = beta(o) + centered * result[o];
  }
  return result;
}

void FoldedBatchNorm::update(std::span<const double> mean, std::span<const double> variance, std::int64_t count) {
  const double momentum = module_->settings().momentum;
  const double unbiased = count > 1 ? static_cast<double>(count) / static_cast<double>(count - 1) : 1.0;
  if (gathered_ != nullptr) {
    std::vector<double> unbiased_variance(variance.begin(), variance.end());
    std::ranges::for_each(unbiased_variance, [unbiased](double& v) { v *= unbiased; });
    gathered_->add(mean, unbiased_variance, count);
    return;
  }
  const auto blend = [momentum](std::span<float> running, std::span<const double> batch, double correction) {
    for (std::size_t o = 0; o < running.size(); ++o) {
      running[o] =
          static_cast<float>((1.0 - momentum) * static_cast<double>(running[o]) + momentum * batch[o] * correction);
    }
  };
  blend(module_->running_mean().data<float>(), mean, 1.0);
  blend(module_->running_variance().data<float>(), variance, unbiased);
}

}  // namespace detent::quant
