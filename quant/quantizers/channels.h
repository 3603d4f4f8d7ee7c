#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "detent/core/tensor.h"
#include "detent/nn/module.h"

/// How unequal the channels of a tensor are that shares one scale: where one reaches far, the others get few codes.
namespace detent::quant {

/// A channel is an outlier where its largest magnitude is more than so many times the median of the channels'.
inline constexpr float kOutlierRatio = 10.0F;

struct ChannelReport {
  std::int64_t count = 0;
  float largest = 0.0F;                     ///< of all magnitudes
  float median = 0.0F;                      ///< of the channels' largest magnitudes, without those that are always 0
  std::vector<std::int64_t> outliers = {};  ///< channels above kOutlierRatio * median
  std::vector<std::int64_t> dead = {};      ///< channels that are always 0
  float ratio() const { return median > 0.0F ? largest / median : 0.0F; }
};

/// Of the largest magnitude of each channel. Of an even number of channels the median is the upper of the two in the
/// middle.
ChannelReport channel_report(std::span<const float> magnitudes);
/// Of the output channels of weights f32 [O, ...].
ChannelReport weight_channels(const Tensor& weight);
/// Of the weights that a convolution or linear layer quantizes, of a prepared one with its batch norm folded; none: it
/// is no such layer, or has no weights yet.
std::optional<ChannelReport> weight_channels(nn::Module& module);

}  // namespace detent::quant
