#include "detent/quant/quantizers/observer.h"
#include "detent/kernels/codes/quantize.h"

#include <algorithm>

namespace detent::quant {

namespace {

Tensor empty_ranges(std::int64_t channels, float extreme) { return Tensor::full({channels}, DType::F32, extreme); }

bool is_zero(const MinMax& range) { return range.min == 0.0F && range.max == 0.0F; }

}  // namespace

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
      min_(empty_ranges(channels, MinMax{}.min)),
      max_(empty_ranges(channels, MinMax{}.max)),
      window_min_(empty_ranges(channels, MinMax{}.min)),
      window_max_(empty_ranges(channels, MinMax{}.max)),
      window_examples_(Tensor::zeros({channels}, DType::S32)) {
  check(options.constant > 0.0F && options.constant <= 1.0F, "observer: expected a constant in (0, 1], got ",
        options.constant);
}

void Observer::observe(std::span<const MinMax> batch, std::int64_t examples) {
  check(static_cast<std::int64_t>(batch.size()) == min_.elements(), "observer: expected the ranges of ",
        min_.elements(), " channels, got ", batch.size());
  check(examples > 0, "observer: expected a batch of at least 1 example, got ", examples);
  if (is_frozen_) {
    return;
  }
  for (std::size_t c = 0; c < batch.size(); ++c) {
    if (!batch[c].empty()) {
      observe_channel(c, batch[c], examples);
    }
  }
}

void Observer::observe_channel(std::size_t c, const MinMax& batch, std::int64_t examples) {
  float& min = min_.data<float>()[c];
  float& max = max_.data<float>()[c];
  float& window_min = window_min_.data<float>()[c];
  float& window_max = window_max_.data<float>()[c];
  std::int32_t& seen = window_examples_.data<std::int32_t>()[c];

  MinMax range{min, max};
  MinMax window{window_min, window_max};
  const bool is_first_window = seen > 0 && window.empty();
  const bool is_full = seen + examples >= kWindowExamples;
  if (options_.kind == ObserverKind::MinMax || range.empty() || is_zero(range) || is_first_window) {
    range.include(batch);
    min = range.min;
    max = range.max;
  } else {
    window.include(batch);
    if (is_full && !is_zero(window)) {
      min += options_.constant * (window.min - min);
      max += options_.constant * (window.max - max);
    }
    window = is_full ? MinMax{} : window;
  }
  window_min = window.min;
  window_max = window.max;
  seen = is_full ? 0 : static_cast<std::int32_t>(seen + examples);
}

void Observer::widen(const MinMax& seen) {
  MinMax joined = range();
  joined.include(seen);
  min_.data<float>()[0] = joined.min;
  max_.data<float>()[0] = joined.max;
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
