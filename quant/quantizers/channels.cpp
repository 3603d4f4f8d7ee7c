#include "detent/quant/quantizers/channels.h"

#include <algorithm>
#include <cmath>

#include "detent/kernels/codes/quantize.h"
#include "detent/quant/kinds/qat_product.h"

namespace detent::quant {

ChannelReport channel_report(std::span<const float> magnitudes) {
  ChannelReport report{.count = static_cast<std::int64_t>(magnitudes.size())};
  std::vector<float> alive;
  for (std::size_t c = 0; c < magnitudes.size(); ++c) {
    if (magnitudes[c] == 0.0F) {
      report.dead.push_back(static_cast<std::int64_t>(c));
    } else {
      alive.push_back(magnitudes[c]);
    }
  }
  if (alive.empty()) {
    return report;
  }
  const auto middle = alive.begin() + static_cast<std::ptrdiff_t>(alive.size() / 2);
  std::ranges::nth_element(alive, middle);
  report.median = *middle;
  report.largest = std::ranges::max(alive);
  for (std::size_t c = 0; c < magnitudes.size(); ++c) {
    if (magnitudes[c] > kOutlierRatio * report.median) {
      report.outliers.push_back(static_cast<std::int64_t>(c));
    }
  }
  return report;
}

ChannelReport weight_channels(const Tensor& weight) {
  const auto rows = static_cast<std::size_t>(weight.shape()[0]);
  const auto row = static_cast<std::size_t>(weight.shape().row_elements());
  std::vector<float> magnitudes;
  for (std::size_t o = 0; o < rows; ++o) {
    const MinMax range = kernels::min_max(weight.data<float>().subspan(o * row, row));
    magnitudes.push_back(range.empty() ? 0.0F : std::max(std::abs(range.min), std::abs(range.max)));
  }
  return channel_report(magnitudes);
}

std::optional<ChannelReport> weight_channels(nn::Module& module) {
  const auto of = [](const Tensor& weight) {
    return weight.defined() ? std::optional(weight_channels(weight)) : std::nullopt;
  };
  if (auto* const product = dynamic_cast<QatProduct*>(&module)) {
    FoldedBatchNorm* const norm = product->batch_norm();
    const std::vector<float> factor = norm != nullptr ? norm->factor() : std::vector<float>();
    return product->weight().value.defined() ? of(product->folded_weight(factor, nullptr)) : std::nullopt;
  }
  if (auto* const conv = nn::exactly<nn::Conv2d>(&module)) {
    return of(conv->weight().value);
  }
  auto* const linear = nn::exactly<nn::Linear>(&module);
  return linear != nullptr ? of(linear->weight().value) : std::nullopt;
}

}  // namespace detent::quant
