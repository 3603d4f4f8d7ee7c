#include "detent/quant/kinds/product/sum_statistics.h"

#include <algorithm>
#include <cmath>

#include "detent/kernels/codes/batch_sums.h"

namespace detent::quant {
namespace {

constexpr double kSmallestGamma = 1e-5;
/// A slope of an intercept's 2^-60 part makes the intercept 2^60 sums: a number that f32 holds, and that no sum
/// changes.
constexpr double kSmallestSlope = 0x1p-60;

}  // namespace

SumStatistics::SumStatistics(ProductSums& sums, ScaleZero input, std::span<const float> factor,
                             const FoldedBatchNorm& batch_norm, Arena* arena)
    : count_(sums.shape().n * sums.shape().out_h() * sums.shape().out_w()) {
  const kernels::ConvShape& shape = sums.shape();
  const auto outputs = static_cast<std::size_t>(shape.o);
  const Slices slices = kernels::conv_slices(shape);
  std::vector<kernels::SumMoments> partial(static_cast<std::size_t>(slices.count) * outputs);
  sums.visit_first(
      [&](std::int64_t slice, Range images, const std::int32_t* acc) {
        kernels::include_moments(acc, images.size() * shape.out_h() * shape.out_w(), shape.o,
                                 partial.data() + static_cast<std::size_t>(slice) * outputs);
      },
      arena);
  moments_.resize(outputs);
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t slice = 0; slice < static_cast<std::size_t>(slices.count); ++slice) {
      moments_[o].include(partial[slice * outputs + o]);
    }
    const double mean = moments_[o].sum / static_cast<double>(count_);
    const double variance = std::max(moments_[o].squares / static_cast<double>(count_) - mean * mean, 0.0);
    const double unit = static_cast<double>(input.scale) * sums.unit().scale_of(o) / factor[o];
    const double deviation = std::sqrt(variance * unit * unit + batch_norm.module().settings().epsilon);
    // Of gamma's sign, which is the factor's, so that the slope is positive; never 0, so that codes can be made.
    const double gamma = std::copysign(std::max(std::abs(static_cast<double>(batch_norm.gamma(o))), kSmallestGamma),
                                       static_cast<double>(factor[o]));
    mean_sum_.push_back(mean);
    mean_.push_back(mean * unit);
    variance_.push_back(variance * unit * unit);
    gain_.push_back(gamma / deviation);
    normalizer_.push_back(unit / deviation);
    intercept_.push_back(static_cast<float>(static_cast<double>(batch_norm.beta(o)) - gamma * mean * unit / deviation));
    slope_.push_back(std::max(gamma * unit / deviation, std::abs(double{intercept_.back()}) * kSmallestSlope));
  }
}

QParams SumStatistics::slopes(ScaleZero input) const {
  QParams slopes;
  slopes.axis = 0;
  slopes.codes = signed_codes(8);
  for (const double slope : slope_) {
    slopes.scale.push_back(static_cast<float>(slope / input.scale));
    slopes.zero_point.push_back(0);
  }
  return slopes;
}

void SumStatistics::update_running(FoldedBatchNorm& batch_norm, std::span<const float> layer_bias) const {
  std::vector<double> mean = mean_;
  for (std::size_t o = 0; o < layer_bias.size(); ++o) {
    mean[o] += static_cast<double>(layer_bias[o]);
  }
  batch_norm.update(mean, variance_, count_);
}

}  // namespace detent::quant
