#include "quant/observer.h"

#include <algorithm>

namespace detent::quant {

std::string_view name_of(ObserverKind kind) { return kind == ObserverKind::MinMax ? "min_max" : "moving_average"; }

ObserverKind observer_kind_from_name(std::string_view name) {
  for (const ObserverKind kind : {ObserverKind::MinMax, ObserverKind::MovingAverage}) {
    if (name_of(kind) == name) {
      return kind;
    }
  }
  fail("observer: expected min_max or moving_average, got '", name, "'");
}

Observer::Observer(const ObserverOptions& options, std::int64_t channels)
    : options_(options),
      min_(Tensor::full({channels}, DType::F32, MinMax{}.min)),
      max_(Tensor::full({channels}, DType::F32, MinMax{}.max)) {
  check(options.constant > 0.0F && options.constant <= 1.0F, "observer: expected a constant in (0, 1], got ",
        options.constant);
}

void Observer::observe(std::span<const MinMax> batch) {
  check(static_cast<std::int64_t>(batch.size()) == min_.elements(), "observer: expected the ranges of ",
        min_.elements(), " channels, got ", batch.size());
  if (is_frozen_) {
    return;
  }
  const std::span<float> min = min_.data<float>();
  const std::span<float> max = max_.data<float>();
  for (std::size_t c = 0; c < batch.size(); ++c) {
    if (batch[c].empty()) {
      continue;
    }
    if (MinMax{min[c], max[c]}.empty()) {
      min[c] = batch[c].min;
      max[c] = batch[c].max;
    } else if (options_.kind == ObserverKind::MinMax) {
      min[c] = std::min(min[c], batch[c].min);
      max[c] = std::max(max[c], batch[c].max);
    } else {
      min[c] += options_.constant * (batch[c].min - min[c]);
      max[c] += options_.constant * (batch[c].max - max[c]);
    }
  }
}

MinMax Observer::range(std::int64_t channel) const {
  const auto c = static_cast<std::size_t>(channel);
  return {min_.data<float>()[c], max_.data<float>()[c]};
}

bool Observer::has_range() const {
  for (std::int64_t c = 0; c < min_.elements(); ++c) {
    if (range(c).empty()) {
      return false;
    }
  }
  return true;
}

std::vector<MinMax> per_channel_min_max(const Tensor& x) {
  const auto row = static_cast<std::size_t>(x.shape().row_elements());
  std::vector<MinMax> ranges(static_cast<std::size_t>(x.shape()[0]));
  for (std::size_t c = 0; c < ranges.size(); ++c) {
    ranges[c] = kernels::min_max(x.data<float>().subspan(c * row, row));
  }
  return ranges;
}

}  // namespace detent::quant
